#include "stage08_sharding/flat_sums.hpp"

#include <fmt/format.h>

#include <map>

#include "common/catch.hpp"

using namespace unfreeze;

namespace {

void set(FlatSums& sums, std::string_view name, std::int64_t sum) {
    sums.update(name, FlatSums::hash_of(name), [sum](std::int64_t) { return sum; });
}

std::int64_t get(const FlatSums& sums, std::string_view name) {
    return sums.get(name, FlatSums::hash_of(name));
}

}  // namespace

TEST_CASE("A name that has no sum has 0, and is none of them") {
    FlatSums sums;
    CHECK(get(sums, "alice") == 0);
    CHECK(get(sums, "") == 0);
    CHECK(sums.size() == 0);
    sums.for_each([](std::string_view, std::int64_t) { FAIL("nobody is there"); });
}

TEST_CASE("A sum of 0 and an empty name are a sum and a name") {
    FlatSums sums;
    set(sums, "", 7);
    set(sums, "alice", 0);
    CHECK(get(sums, "") == 7);
    CHECK(get(sums, "alice") == 0);
    CHECK(sums.size() == 2);
}

TEST_CASE("Each of many names keeps its sum while the array grows under it") {
    constexpr int names = 20'000;
    FlatSums sums;
    for (int i = 0; i < names; ++i) {
        set(sums, fmt::format("user{}", i), i);
        set(sums, fmt::format("user{}", i / 2), -i);
    }
    CHECK(sums.size() == names);
    CHECK(get(sums, "user20000") == 0);
    std::map<std::string, std::int64_t> found;
    sums.for_each([&](std::string_view name, std::int64_t sum) {
        CHECK(found.emplace(name, sum).second);  // once each
    });
    REQUIRE(found.size() == names);
    for (int i = 0; i < names; ++i) {
        const std::string name = fmt::format("user{}", i);
        const std::int64_t last = i < names / 2 ? -(2 * i + 1) : i;
        REQUIRE(get(sums, name) == last);
        REQUIRE(found.at(name) == last);
    }
}
