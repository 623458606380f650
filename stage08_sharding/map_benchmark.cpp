// Compares the speed of ShardedMap with simpler maps and the maps of libraries, and measures how
// long one addition holds a lock while the map grows.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "stage04_state/colliding_names.hpp"
#include "stage08_sharding/sharded_map.hpp"

#if defined(UNFREEZE_HAVE_TBB)
#include <tbb/concurrent_hash_map.h>
#endif
#if defined(UNFREEZE_HAVE_ABSEIL)
#include <absl/container/flat_hash_map.h>
#endif

namespace {

using namespace unfreeze;

constexpr std::size_t shard_count = 64;

// One adapter for each map. Any thread may call add() and get(); total() needs that no other thread
// runs. All maps use the same hash, and none creates a std::string to look up a name.

template <std::size_t shards>
struct Ours {
    static constexpr const char* name = shards == 1 ? "one lock" : "ShardedMap";
    void add(std::string_view user) { map.add(user, 1); }
    std::int64_t get(std::string_view user) { return map.get(user); }
    std::int64_t total() {
        std::int64_t sum = 0;
        map.for_each([&](std::string_view, std::int64_t one) { sum += one; });
        return sum;
    }
    ShardedMap<> map{shards};
};

/// The map of "one lock", with a lock that readers share.
struct Shared {
    static constexpr const char* name = "shared_mutex";
    void add(const std::string& user) {
        const std::lock_guard lock{mutex};
        add_to_balance(sums, user, 1);
    }
    std::int64_t get(std::string_view user) {
        const std::shared_lock lock{mutex};
        return balance_of(sums, user);
    }
    std::int64_t total() {
        std::int64_t sum = 0;
        for (const auto& [user, one] : sums) {
            sum += one;
        }
        return sum;
    }
    std::shared_mutex mutex;
    Balances sums;
};

#if defined(UNFREEZE_HAVE_TBB)
/// Has a lock in each bucket and one in each entry. They are spin locks: a waiting thread keeps its
/// core at first, then yields it, and never sleeps.
struct Tbb {
    static constexpr const char* name = "oneTBB";
    struct HashCompare {
        using is_transparent = void;
        std::size_t hash(std::string_view user) const { return name_hash(user); }
        bool equal(std::string_view one, std::string_view other) const { return one == other; }
        NameHash name_hash;
    };
    using Map = tbb::concurrent_hash_map<std::string, std::int64_t, HashCompare>;
    void add(std::string_view user) {
        Map::accessor found;
        map.insert(found, user);
        found->second = saturating_add(found->second, 1);
    }
    std::int64_t get(std::string_view user) {
        Map::const_accessor found;
        return map.find(found, user) ? found->second : 0;
    }
    std::int64_t total() {
        std::int64_t sum = 0;
        for (const auto& [user, one] : map) {
            sum += one;
        }
        return sum;
    }
    Map map;
};
#endif

#if defined(UNFREEZE_HAVE_ABSEIL)
/// Shards like ours, with a flat map in each: the entries are in an array, and lookup compares
/// sixteen of them at once.
struct Abseil {
    static constexpr const char* name = "Abseil shards";
    void add(std::string_view user) {
        Shard& shard = shard_of(user);
        const std::lock_guard lock{shard.mutex};
        const auto found = shard.map.find(user);
        if (found == shard.map.end()) {
            shard.map.emplace(user, 1);
        } else {
            found->second = saturating_add(found->second, 1);
        }
    }
    std::int64_t get(std::string_view user) {
        Shard& shard = shard_of(user);
        const std::lock_guard lock{shard.mutex};
        const auto found = shard.map.find(user);
        return found == shard.map.end() ? 0 : found->second;
    }
    std::int64_t total() {
        std::int64_t sum = 0;
        for (const Shard& shard : shards) {
            for (const auto& [user, one] : shard.map) {
                sum += one;
            }
        }
        return sum;
    }
    struct alignas(64) Shard {
        std::mutex mutex;
        absl::flat_hash_map<std::string, std::int64_t, NameHash, std::equal_to<>> map;
    };
    Shard& shard_of(std::string_view user) { return shards[hash(user) % shard_count]; }
    NameHash hash;
    std::array<Shard, shard_count> shards;
};
#endif

/// Calls measure<Map>() for each installed map.
template <typename Measure>
void for_each_map(const Measure& measure) {
    measure.template operator()<Ours<shard_count>>();
    measure.template operator()<Ours<1>>();
    measure.template operator()<Shared>();
#if defined(UNFREEZE_HAVE_TBB)
    measure.template operator()<Tbb>();
#endif
#if defined(UNFREEZE_HAVE_ABSEIL)
    measure.template operator()<Abseil>();
#endif
}

/// The load that the threads of one run share.
struct Load {
    const std::vector<std::string>& names;
    const std::vector<std::uint32_t>& turns;  // indexes of the names to use, in order
    std::size_t threads = 0;
    int gets = 0;  // of ten operations; the others add
};

/// Draws a million users: uniformly, or by Zipf's law with exponent 1, where the second most active
/// user has half the turns of the first, and the third a third. The ranks are also drawn, so that
/// the active users are not neighbours in memory.
std::vector<std::uint32_t> draw_turns(std::size_t users, bool zipf) {
    std::mt19937 random{1};
    std::vector<double> weights;
    for (std::size_t rank = 1; rank <= users; ++rank) {
        weights.push_back(zipf ? 1.0 / static_cast<double>(rank) : 1.0);
    }
    std::shuffle(weights.begin(), weights.end(), random);
    std::discrete_distribution<std::uint32_t> user(weights.begin(), weights.end());
    std::vector<std::uint32_t> turns(1'000'000);
    std::generate(turns.begin(), turns.end(), [&] { return user(random); });
    return turns;
}

/// Runs all threads for 0.1 s and returns the millions of operations a second. In that time each of
/// 16 threads on 2 cores runs several times, and sometimes loses its core while it holds a lock.
template <typename Map>
double measure_millions(Map& map, const Load& load) {
    const std::int64_t sum_before = map.total();
    std::atomic<bool> stop{false};
    std::atomic<std::int64_t> operations{0};
    std::atomic<std::int64_t> adds{0};
    std::atomic<std::int64_t> missed{0};
    std::chrono::steady_clock::time_point started;
    const auto stamp = [&]() noexcept { started = std::chrono::steady_clock::now(); };
    std::barrier start{static_cast<std::ptrdiff_t>(load.threads) + 1,
                       stamp};  // then starts all threads
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < load.threads; ++i) {
        threads.emplace_back([&, i] {
            std::size_t next =
                load.turns.size() * i / load.threads;  // each thread starts at another index
            std::int64_t my_operations = 0;
            std::int64_t my_adds = 0;
            std::int64_t my_missed = 0;
            start.arrive_and_wait();
            for (; !stop.load(std::memory_order_relaxed); ++my_operations) {
                const std::string& name = load.names[load.turns[next]];
                next = next + 1 < load.turns.size() ? next + 1 : 0;
                if (my_operations % 10 < load.gets) {
                    my_missed += map.get(name) == 0 ? 1 : 0;
                } else {
                    map.add(name);
                    ++my_adds;
                }
            }
            operations += my_operations;
            adds += my_adds;
            missed += my_missed;
        });
    }
    start.arrive_and_wait();
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    stop = true;
    const std::chrono::duration<double, std::micro> took =
        std::chrono::steady_clock::now() - started;
    threads.clear();
    assert(map.total() - sum_before == adds);
    assert(missed == 0);
    return static_cast<double>(operations) / took.count();
}

/// One line of the table, with the results of each map in each round.
struct Row {
    bool zipf = false;
    std::size_t threads = 0;
    std::vector<std::vector<double>> millions;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

/// Measures all maps in each round, so that other activity on the machine affects all alike. Each
/// round uses new maps, because the addresses of the names affect the speed.
void measure_table(const std::vector<std::size_t>& thread_counts, int gets, std::FILE* csv) {
    constexpr int rounds = 5;
    fmt::print("{:>9} {:<8} {:>7}", "users", "turns", "threads");
    for_each_map([]<typename Map>() { fmt::print(" {:>14}", Map::name); });
    fmt::print("\n");
    for (const std::size_t users : {8U, 10'000U, 1'000'000U}) {
        std::vector<std::string> names;
        for (std::size_t i = 0; i < users; ++i) {
            names.push_back(fmt::format("user{}", i));
        }
        const std::vector<std::uint32_t> uniform = draw_turns(users, false);
        const std::vector<std::uint32_t> zipf = draw_turns(users, true);
        std::vector<Row> rows;
        for (const bool by_zipf : {false, true}) {
            for (const std::size_t threads : thread_counts) {
                rows.push_back({by_zipf, threads, {}});
            }
        }
        for (int round = 0; round < rounds; ++round) {
            std::vector<std::function<double(const Load&)>> maps;
            for_each_map([&]<typename Map>() {
                const auto map = std::make_shared<Map>();
                for (const std::string& name : names) {
                    map->add(name);
                }
                maps.push_back([map](const Load& load) { return measure_millions(*map, load); });
            });
            for (Row& row : rows) {
                row.millions.resize(maps.size());
                const Load load{names, row.zipf ? zipf : uniform, row.threads, gets};
                for (std::size_t i = 0; i < maps.size(); ++i) {
                    row.millions[i].push_back(maps[i](load));
                }
            }
        }
        for (const Row& row : rows) {
            const char* const turns = row.zipf ? "Zipf" : "uniform";
            fmt::print("{:>9} {:<8} {:>7}", users, turns, row.threads);
            fmt::print(csv, "{},{},{},{}", gets, users, turns, row.threads);
            for (const std::vector<double>& millions : row.millions) {
                fmt::print(" {:>14.2f}", median(millions));
                fmt::print(csv, ",{:.2f}", median(millions));
            }
            fmt::print("\n");
            std::fflush(stdout);
            fmt::print(csv, "\n");
        }
    }
}

/// The CPU time of this thread, without the time that it waits for a core.
std::chrono::nanoseconds thread_time() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

/// Adds 1 for each name to an empty map and prints the longest addition, then repeats it with a new
/// map and without reading the clock between additions, for the mean. The minimum of five rounds
/// counts.
template <typename Map, typename... Arguments>
void print_stall(const std::string& map_name, const std::string& names_name,
                 const std::vector<std::string>& names, const Arguments&... arguments) {
    std::chrono::nanoseconds longest = std::chrono::nanoseconds::max();
    std::chrono::nanoseconds all = std::chrono::nanoseconds::max();
    for (int round = 0; round < 5; ++round) {
        Map timed{arguments...};
        std::chrono::nanoseconds longest_here{0};
        for (const std::string& name : names) {
            const auto start = thread_time();
            timed.add(name, 1);
            longest_here = std::max(longest_here, thread_time() - start);
        }
        longest = std::min(longest, longest_here);
        Map map{arguments...};
        const auto start = thread_time();
        for (const std::string& name : names) {
            map.add(name, 1);
        }
        all = std::min(all, thread_time() - start);
    }
    fmt::print("{:<21} {:>7} {:<9} {:>8.0f} µs {:>8.2f} µs\n", map_name, names.size(), names_name,
               static_cast<double>(longest.count()) / 1e3,
               static_cast<double>(all.count()) / 1e3 / static_cast<double>(names.size()));
    std::fflush(stdout);
}

/// One lock and std::hash, for which a client can choose colliding names.
struct WithStdHash {
    void add(const std::string& user, std::int64_t amount) {
        const std::lock_guard lock{mutex};
        std::int64_t& sum = sums[user];
        sum = saturating_add(sum, amount);
    }
    std::mutex mutex;
    std::unordered_map<std::string, std::int64_t> sums;
};

void measure_stalls() {
    std::vector<std::string> ordinary;
    while (ordinary.size() < 100'000) {
        ordinary.push_back(fmt::format("user{}", ordinary.size()));
    }
    const std::vector<std::string> chosen = colliding_names(20'000);
    fmt::print("map                     names           longest add        mean\n");
    print_stall<WithStdHash>("one lock, std::hash", "ordinary", ordinary);
    print_stall<WithStdHash>("one lock, std::hash", "chosen", chosen);
    for (const std::size_t shards : {std::size_t{1}, shard_count}) {
        for (const std::size_t names_max : {0U, 100'000U}) {
            const std::string name =
                fmt::format("{}{}", shards == 1 ? "one lock" : fmt::format("{} shards", shards),
                            names_max == 0 ? "" : ", reserved");
            print_stall<ShardedMap<>>(name, "ordinary", ordinary, shards, names_max);
            print_stall<ShardedMap<>>(name, "chosen", chosen, shards, names_max);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::string file = "/dev/null";
    bool stalls = false;
    CommandLine command_line{"Compares the speed of ShardedMap with other maps."};
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--stalls", stalls, "print the duration of additions while a map grows");
    command_line.parse(argc, argv);
    if (stalls) {
        measure_stalls();
        finish_output();
        return 0;
    }
    std::FILE* const csv = open_csv(file);
    fmt::print(csv, "gets_in_ten,users,turns,threads");
    for_each_map([&]<typename Map>() { fmt::print(csv, ",\"{}\"", Map::name); });
    fmt::print(csv, "\n");
    measure_table({1, 2, 16}, 0, csv);
    measure_table({16}, 9, csv);
    close_csv(csv, file);
    finish_output();
}
