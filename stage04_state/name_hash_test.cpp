#include "stage04_state/name_hash.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "common/catch.hpp"
#include "stage04_state/balances.hpp"
#include "stage04_state/colliding_names.hpp"

using namespace unfreeze;

namespace {

/// The bytes 0, 1, 2 … of SipHash's published test vectors.
std::string counted_bytes(std::size_t size) {
    std::string bytes;
    while (bytes.size() < size) {
        bytes.push_back(static_cast<char>(bytes.size()));
    }
    return bytes;
}

constexpr HashKey published_key{0x0706050403020100, 0x0f0e0d0c0b0a0908};

}  // namespace

TEST_CASE("sip_hash has the published values of SipHash-2-4") {
    const auto hash_of = [](std::size_t size) {
        return sip_hash<2, 4>(published_key, counted_bytes(size));
    };
    CHECK(hash_of(0) == 0x726fdb47dd0e0e31);
    CHECK(hash_of(1) == 0x74f839c593dc67fd);
    CHECK(hash_of(7) == 0xab0200f58b01d137);
    CHECK(hash_of(8) == 0x93f5f5799a932462);
    CHECK(hash_of(15) == 0xa129ca6149be45e5);
    CHECK(hash_of(16) == 0x3f2acc7f57c29bdb);
    CHECK(hash_of(63) == 0x958a324ceb064572);
}

TEST_CASE("NameHash is SipHash-1-3 and depends on its key") {
    const NameHash hash{published_key};
    CHECK(hash(counted_bytes(15)) == 0xd320d86d2a519956);
    CHECK(NameHash{HashKey{1, 2}}("alice") != NameHash{HashKey{1, 3}}("alice"));
    CHECK(NameHash{HashKey{1, 2}}("alice") != NameHash{HashKey{2, 2}}("alice"));
}

TEST_CASE("A process keeps one random key") {
    const auto words = [](const HashKey& key) { return std::vector{key.first, key.second}; };
    CHECK(words(HashKey::of_process()) == words(HashKey::of_process()));
    CHECK(words(HashKey::random()) != words(HashKey::random()));
    CHECK(NameHash{}("alice") == NameHash{HashKey::of_process()}("alice"));
    CHECK(Balances{}.hash_function()("alice") == NameHash{}("alice"));
}

TEST_CASE("Names that collide under std::hash are spread over the buckets of the balances") {
    const std::vector<std::string> names = colliding_names(2'000);
    Balances balances;
    for (const std::string& name : names) {
        REQUIRE(std::hash<std::string>{}(name) == std::hash<std::string>{}(names[0]));
        add_to_balance(balances, name, 1);
    }
    REQUIRE(balances.size() == names.size());
    std::size_t largest = 0;
    for (std::size_t i = 0; i < balances.bucket_count(); ++i) {
        largest = std::max(largest, balances.bucket_size(i));
    }
    CHECK(largest < 20);  // the mean is 1, and 20 occur in one of 10^16 runs
}
