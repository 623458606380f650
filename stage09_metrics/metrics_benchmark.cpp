#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <latch>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "common/catch.hpp"
#include "stage09_metrics/metrics.hpp"

// What counting costs, and what readings of two counts get wrong. Hidden: ask for "[.benchmark]".
using namespace unfreeze;

namespace {

constexpr std::array<std::size_t, 3> thread_counts{1, 2, 16};

// Ways to count: add is for any thread, which says who it is; total is for when all is quiet.

struct alignas(64) Mutex {
    void add(std::size_t) {
        const std::lock_guard lock{mutex};
        ++number;
    }
    std::uint64_t total() const { return number; }
    std::mutex mutex;
    std::uint64_t number = 0;
};

template <std::memory_order order>
struct alignas(64) Atomic {
    void add(std::size_t) { number.fetch_add(1, order); }
    std::uint64_t total() const { return number; }
    std::atomic<std::uint64_t> number = 0;
};

struct Ours {
    void add(std::size_t) { counter.add(); }
    std::uint64_t total() const { return counter.read(); }
    Counter counter;
};

/// A number for each thread. Nobody else writes it, so that a load and a store will do.
template <std::size_t alignment>
struct alignas(64) Cells {
    struct alignas(alignment) Cell : std::atomic<std::uint64_t> {};
    void add(std::size_t thread) {
        Cell& cell = cells[thread];
        cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    std::uint64_t total() const { return std::accumulate(cells.begin(), cells.end(), 0UL); }
    std::array<Cell, thread_counts.back()> cells;
};

/// Has so many threads repeat the work until `meanwhile` is over, and says how often they did it.
template <typename Work, typename Meanwhile>
std::uint64_t repeat(std::size_t count, const Work& work, const Meanwhile& meanwhile) {
    constexpr int batch = 100;  // so that to ask whether to stop costs next to nothing
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> times = 0;
    std::latch start{static_cast<std::ptrdiff_t>(count) + 1};
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < count; ++i) {
        threads.emplace_back([&, i] {
            std::uint64_t mine = 0;
            start.arrive_and_wait();
            for (; !stop.load(std::memory_order_relaxed); mine += batch) {
                for (int n = 0; n < batch; ++n) {
                    work(i);
                }
            }
            times += mine;
        });
    }
    start.arrive_and_wait();
    meanwhile();
    stop = true;
    threads.clear();
    return times;
}

/// The time of a count: 0.2 s, by the counts of all threads together. Two threads that don't
/// disturb each other, on a core each, take half of what one takes.
template <typename Way>
double measure_count(std::size_t threads) {
    Way way;
    const auto started = steady_clock::now();
    const std::uint64_t counts = repeat(
        threads, [&](std::size_t i) { way.add(i); },
        [] { std::this_thread::sleep_for(std::chrono::milliseconds{200}); });
    const std::chrono::duration<double, std::nano> took = steady_clock::now() - started;
    CHECK(way.total() == counts);
    return took.count() / static_cast<double>(counts);
}

/// The processor time of this thread: to wait for a core is no cost of what it does.
double thread_nanoseconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// Reads for a second while so many threads receive and process as fast as they can, each of them
/// one event at a time. Prints a line, and returns how often there was less than nothing pending.
std::uint64_t print_readings(const char* name, std::size_t threads, const auto& read) {
    EventCounters events;
    std::uint64_t readings = 0, negative = 0, too_many = 0, most = 0;
    const auto process = [&](std::size_t) {
        events.received.add();
        events.processed.add();
    };
    const std::uint64_t counts = repeat(threads, process, [&] {
        const auto until = steady_clock::now() + std::chrono::seconds{1};
        const double started = thread_nanoseconds();
        while (++readings % 100 > 0 || steady_clock::now() < until) {
            const Reading reading = read(events);
            const bool less_than_none = reading.processed > reading.received;
            negative += less_than_none ? 1 : 0;
            too_many += !less_than_none && reading.pending() > threads ? 1 : 0;
            most = std::max(most, reading.pending());
        }
        const double nanoseconds = (thread_nanoseconds() - started) / static_cast<double>(readings);
        fmt::print("{:<15} {:>7} {:>9} {:>8} {:>8} {:>20} {:>7.1f}\n", name, threads, readings,
                   negative, too_many, most, nanoseconds);
    });
    CHECK(events.read() == Reading{counts, counts, 0});
    return negative;
}

}  // namespace

TEST_CASE("Counts: nanoseconds each, of all threads together", "[.benchmark]") {
    struct {
        const char* name;
        double (*measure)(std::size_t threads);
        std::array<std::vector<double>, thread_counts.size()> nanoseconds = {};  // of each round
    } ways[] = {{"a mutex", measure_count<Mutex>},
                {"an atomic, relaxed", measure_count<Atomic<std::memory_order_relaxed>>},
                {"an atomic, seq_cst", measure_count<Atomic<std::memory_order_seq_cst>>},
                {"Counter", measure_count<Ours>},
                {"cells, side by side", measure_count<Cells<alignof(std::uint64_t)>>},
                {"cells, a line each", measure_count<Cells<64>>}};
    // All of them again in each round: what else the machine has to do meets them all alike.
    for (int round = 0; round < 7; ++round) {
        for (auto& way : ways) {
            for (std::size_t i = 0; i < thread_counts.size(); ++i) {
                way.nanoseconds[i].push_back(way.measure(thread_counts[i]));
            }
        }
    }
    fmt::print("{:<20} {:>7} {:>7} {:>7}\n", "threads", 1, 2, 16);
    for (auto& [name, measure, nanoseconds] : ways) {
        fmt::print("{:<20}", name);
        for (std::vector<double>& all : nanoseconds) {
            std::sort(all.begin(), all.end());
            fmt::print(" {:>7.1f}", all[all.size() / 2]);
        }
        fmt::print("\n");
    }
}

TEST_CASE("Readings, while threads receive and process as fast as they can", "[.benchmark]") {
    const auto received_first = [](const EventCounters& events) {
        return Reading{events.received.read(), events.processed.read(), 0};  // from left to right
    };
    const auto received_last = [](const EventCounters& events) {
        const std::uint64_t processed = events.processed.read();
        return Reading{events.received.read(), processed, 0};
    };
    // It gives up when 100 in a row disagree: see there what it may then count as pending.
    const auto ours = [](const EventCounters& events) { return events.read(); };
    fmt::print("{:<15} threads  readings negative too many {:>20} ns each\n", "read",
               "most pending");
    std::uint64_t negative = 0;
    for (const std::size_t threads : {0, 1, 2, 16}) {
        negative += print_readings("received first", threads, received_first);
        CHECK(print_readings("received last", threads, received_last) == 0);
        CHECK(print_readings("until two agree", threads, ours) == 0);
    }
    CHECK(negative > 0);
}
