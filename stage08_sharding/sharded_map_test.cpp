#include "stage08_sharding/sharded_map.hpp"

#include <fmt/format.h>
#include <optional>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <limits>
#include <map>
#include <stdexcept>
#include <thread>
#include <vector>

#include "common/catch.hpp"
#include "stage04_state/colliding_names.hpp"
#include "stage07_contention/timed_lock.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// Two names, in the same shard or in different ones.
std::pair<std::string, std::string> two_names(const ShardedMap<>& map, bool same_shard) {
    std::string other;
    for (int i = 0; other.empty(); ++i) {
        const std::string name = fmt::format("user{}", i);
        if ((map.shard_of(name) == map.shard_of("alice")) == same_shard) {
            other = name;
        }
    }
    return {"alice", other};
}

/// Whether one name can be updated and read while another one's update is in progress.
bool independent(const std::string& name, const std::string& other, ShardedMap<>& map,
                 std::chrono::milliseconds patience) {
    std::future<std::int64_t> added;
    bool meanwhile = false;
    map.update(name, [&](std::int64_t before) {
        added = std::async(std::launch::async, [&] { return map.add(other, map.get(other) + 7); });
        meanwhile = added.wait_for(patience) == std::future_status::ready;
        return before + 1;
    });
    CHECK(added.get() == 7);
    CHECK(map.get(name) == 1);
    CHECK(map.get(other) == 7);
    return meanwhile;
}

}  // namespace

TEST_CASE("A look-up stops waiting for a lock that is held for too long") {
    ShardedMap<> map{1};
    map.add("alice", 7);
    std::promise<void> held;
    std::promise<void> release;
    std::jthread holder{[&] {
        map.update("bob", [&](std::int64_t before) {
            held.set_value();
            release.get_future().wait();
            return before;
        });
    }};
    held.get_future().wait();
    CHECK(map.get("alice", std::chrono::milliseconds{20}) == std::nullopt);
    release.set_value();
    holder.join();
    CHECK(map.get("alice", std::chrono::milliseconds{20}) == 7);
}

TEST_CASE("A name's sum is what was added to it, or 0") {
    ShardedMap<> map{4};
    CHECK(map.add("alice", 30) == 30);
    CHECK(map.add("alice", -5) == 25);
    CHECK(map.add("", 1) == 1);
    CHECK(map.get("alice") == 25);
    CHECK(map.get("") == 1);
    CHECK(map.get("bob") == 0);
    CHECK(map.size() == 2);  // the query did not add bob
}

TEST_CASE("A sum saturates, as a balance does") {
    using limits = std::numeric_limits<std::int64_t>;
    ShardedMap<> map{1};
    map.add("rich", limits::max() - 1);
    CHECK(map.add("rich", 2) == limits::max());
    map.add("poor", limits::min() + 1);
    CHECK(map.add("poor", -2) == limits::min());
}

TEST_CASE("A name is compared by its text, not by its address") {
    ShardedMap<> map{64};
    std::string name(100, 'x');
    map.add(name, 1);
    name.back() = 'y';
    map.add(name, 2);
    CHECK(map.get(std::string(100, 'x')) == 1);
    CHECK(map.get(std::string_view{name}) == 2);
}

TEST_CASE("An update that throws changes nothing, and unlocks") {
    ShardedMap<> map{1};
    map.add("alice", 30);
    const auto failing = [](std::int64_t) -> std::int64_t { throw std::runtime_error{"no"}; };
    CHECK_THROWS_AS(map.update("alice", failing), std::runtime_error);
    CHECK_THROWS_AS(map.update("bob", failing), std::runtime_error);
    CHECK(map.get("alice") == 30);
    CHECK(map.size() == 1);
}

TEST_CASE("Names in different shards do not wait for each other, names in one shard do") {
    ShardedMap<> map{64};
    const bool same_shard = GENERATE(false, true);
    const auto [name, other] = two_names(map, same_shard);
    // Names in different shards get a long patience, because a busy machine may delay them.
    CHECK(independent(name, other, map, same_shard ? 200ms : 5s) == !same_shard);
}

TEST_CASE("10,000 names are spread over all shards") {
    ShardedMap<> map{64};
    std::vector<int> names(64);
    for (int i = 0; i < 10'000; ++i) {
        ++names[map.shard_of(fmt::format("user{}", i))];
    }
    CHECK(*std::min_element(names.begin(), names.end()) > 156 - 70);
    CHECK(*std::max_element(names.begin(), names.end()) < 156 + 70);
}

TEST_CASE("Every name keeps its sum while the shards grow") {
    constexpr int names = 20'000;
    ShardedMap<> map{4};
    for (int i = 0; i < names; ++i) {
        map.add(fmt::format("user{}", i), i);
        map.add(fmt::format("user{}", i / 2), 1);
    }
    CHECK(map.size() == names);
    for (int i = 0; i < names; ++i) {
        REQUIRE(map.get(fmt::format("user{}", i)) == (i < names / 2 ? i + 2 : i));
    }
}

TEST_CASE("Names chosen to collide cost no more than others") {
    const std::vector<std::string> chosen = colliding_names(2'000);
    std::vector<std::string> ordinary;
    while (ordinary.size() < chosen.size()) {
        ordinary.push_back(fmt::format("user{:012}", ordinary.size()));  // of the same length
    }
    // The shortest of several runs, because other programs slow some down.
    const auto time_to_add = [](const std::vector<std::string>& names) {
        std::chrono::duration<double> least = 1h;
        for (int i = 0; i < 5; ++i) {
            ShardedMap<> map{64};
            const auto start = std::chrono::steady_clock::now();
            for (const std::string& name : names) {
                map.add(name, 1);
            }
            least = std::min<decltype(least)>(least, std::chrono::steady_clock::now() - start);
        }
        return least;
    };
    const auto of_ordinary = time_to_add(ordinary);
    CHECK(time_to_add(chosen) < 4 * of_ordinary);
}

TEST_CASE("The names of one shard are spread over the buckets of its map") {
    const ShardedMap<> map{64};
    Balances of_one_shard;
    for (int i = 0; of_one_shard.size() < 1'000; ++i) {
        const std::string name = fmt::format("user{}", i);
        if (map.shard_of(name) == 0) {
            of_one_shard.emplace(name, 0);
        }
    }
    std::size_t largest = 0;
    for (std::size_t i = 0; i < of_one_shard.bucket_count(); ++i) {
        largest = std::max(largest, of_one_shard.bucket_size(i));
    }
    CHECK(largest < 20);  // one on average
}

TEST_CASE("A map may have 1 to 65,536 shards") {
    const std::size_t shards = GENERATE(1u, 2u, 65'536u);
    ShardedMap<> map{shards};
    for (int i = 0; i < 1'000; ++i) {
        CHECK(map.shard_of(fmt::format("user{}", i)) < shards);
        map.add(fmt::format("user{}", i % 500), 1);
    }
    CHECK(map.size() == 500);
}

TEST_CASE("update returns how long it waited for the lock and held it") {
    ShardedMap<TimedLock<std::timed_mutex>> map{4};
    const TimedLock lock = map.update("alice", [](std::int64_t before) {
        std::this_thread::sleep_for(10ms);
        return before;
    });
    CHECK(lock.hold() >= 10ms);
    CHECK(lock.wait() < lock.hold());
    map.add("alice", 1);  // the lock is free
}

TEST_CASE("No update of many threads is lost while they also read") {
    constexpr int threads = 8;
    constexpr int rounds = 4'000;
    const std::size_t shards = GENERATE(1u, 8u, 64u);
    ShardedMap<> map{shards};
    std::atomic<bool> too_many = false;
    {
        std::vector<std::jthread> adding;
        for (int t = 0; t < threads; ++t) {
            adding.emplace_back([&map, &too_many, t] {
                for (int i = 0; i < rounds; ++i) {
                    map.add(fmt::format("user{}", (i * (t + 1)) % 100), t + 1);
                    if (i % 500 == 0) {
                        std::size_t names = 0;
                        map.for_each([&](std::string_view, std::int64_t) { ++names; });
                        if (names > 100 || map.size() > 100) {
                            too_many = true;
                        }
                    }
                }
            });
        }
    }
    std::map<std::string, std::int64_t> expected;
    for (int t = 0; t < threads; ++t) {
        for (int i = 0; i < rounds; ++i) {
            expected[fmt::format("user{}", (i * (t + 1)) % 100)] += t + 1;
        }
    }
    std::map<std::string, std::int64_t> found;
    map.for_each([&](std::string_view name, std::int64_t sum) {
        CHECK(found.emplace(name, sum).second);  // once each
    });
    CHECK(!too_many);
    CHECK(found == expected);
    CHECK(map.size() == expected.size());
}

TEST_CASE("for_each sees each shard at one moment") {
    ShardedMap<> map{64};
    const auto [first, second] = two_names(map, true);
    map.add(first, 0);
    map.add(second, 0);
    std::jthread writer{[&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {  // first is ahead of second by one, or equal
            map.add(first, 1);
            map.add(second, 1);
            std::this_thread::sleep_for(10us);  // the mutex is not fair: readers would starve
        }
    }};
    bool ahead_or_equal = true;
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    for (int i = 0; i < 50 || (map.get(second) == 0 && std::chrono::steady_clock::now() < deadline);
         ++i) {
        std::map<std::string, std::int64_t> seen;
        map.for_each([&](std::string_view name, std::int64_t sum) {
            seen[std::string{name}] = sum;
            std::this_thread::sleep_for(100us);  // time for many writes
        });
        const std::int64_t ahead = seen.at(first) - seen.at(second);
        ahead_or_equal = ahead_or_equal && (ahead == 0 || ahead == 1);
    }
    writer.request_stop();
    CHECK(ahead_or_equal);
    CHECK(map.get(second) > 0);
}
