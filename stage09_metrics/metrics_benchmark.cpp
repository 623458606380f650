// Measures the cost of counting, and the errors of readings of two counters.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <latch>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/log.hpp"
#include "stage09_metrics/metrics.hpp"

namespace {

using namespace unfreeze;

constexpr std::array<std::size_t, 3> thread_counts{1, 2, 16};

// Ways to count. Any thread may call add() with its number; total() needs that no thread counts.

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

/// A number for each thread. No other thread writes it, so a load and a store suffice.
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

/// Lets `count` threads repeat the work until `meanwhile` returns. Returns the number of
/// repetitions.
template <typename Work, typename Meanwhile>
std::uint64_t repeat(std::size_t count, const Work& work, const Meanwhile& meanwhile) {
    constexpr int batch = 100;  // so that checking `stop` costs almost nothing
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

/// Nanoseconds per count: 0.2 s, divided by the counts of all threads together. Two independent
/// threads on two cores need half the time of one.
template <typename Way>
double measure_count(std::size_t threads) {
    Way way;
    const auto started = steady_clock::now();
    const std::uint64_t counts = repeat(
        threads, [&](std::size_t i) { way.add(i); },
        [] { std::this_thread::sleep_for(std::chrono::milliseconds{200}); });
    const std::chrono::duration<double, std::nano> took = steady_clock::now() - started;
    assert(way.total() == counts);
    return took.count() / static_cast<double>(counts);
}

/// The CPU time of this thread, without the time that it waits for a core.
double thread_nanoseconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// Reads for a second while `threads` threads receive and process one event at a time, as fast as
/// possible. Returns how many readings had a negative number of pending events.
std::uint64_t measure_readings(const char* name, std::size_t threads, const auto& read,
                               std::FILE* csv) {
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
            const Snapshot snapshot = read(events);
            const bool less_than_none = snapshot.processed > snapshot.received;
            negative += less_than_none ? 1 : 0;
            too_many += !less_than_none && snapshot.pending() > threads ? 1 : 0;
            most = std::max(most, snapshot.pending());
        }
        const double nanoseconds = (thread_nanoseconds() - started) / static_cast<double>(readings);
        fmt::print("{:<15} {:>7} {:>9} {:>8} {:>8} {:>20} {:>7.1f}\n", name, threads, readings,
                   negative, too_many, most, nanoseconds);
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},{},{},{},{:.1f}\n", name, threads, readings, negative, too_many,
                   most, nanoseconds);
    });
    assert((events.read() == Snapshot{counts, counts, 0}));
    return negative;
}

/// Measures the nanoseconds per count for each way to count.
void measure_counts(std::size_t rounds, std::FILE* csv) {
    struct {
        const char* name;
        double (*measure)(std::size_t threads);
        std::array<std::vector<double>, thread_counts.size()> nanoseconds = {};  // of each round
    } ways[] = {{"a mutex", measure_count<Mutex>},
                {"a relaxed atomic", measure_count<Atomic<std::memory_order_relaxed>>},
                {"a seq_cst atomic", measure_count<Atomic<std::memory_order_seq_cst>>},
                {"Counter", measure_count<Ours>},
                {"cells side by side", measure_count<Cells<alignof(std::uint64_t)>>},
                {"cells a line each", measure_count<Cells<64>>}};
    // Each round measures all ways, so that other activity on the machine affects all alike.
    for (std::size_t round = 0; round < rounds; ++round) {
        for (auto& way : ways) {
            for (std::size_t i = 0; i < thread_counts.size(); ++i) {
                way.nanoseconds[i].push_back(way.measure(thread_counts[i]));
            }
        }
    }
    fmt::print("{:<20} {:>10} {:>11} {:>15}\n", "ns a count", "one thread", "two threads",
               "sixteen threads");
    fmt::print(csv, "way,ns_by_1_thread,ns_by_2_threads,ns_by_16_threads\n");
    for (auto& [name, measure, nanoseconds] : ways) {
        std::array<double, thread_counts.size()> medians{};
        for (std::size_t i = 0; i < medians.size(); ++i) {
            std::sort(nanoseconds[i].begin(), nanoseconds[i].end());
            medians[i] = nanoseconds[i][rounds / 2];
        }
        fmt::print("{:<20} {:>10.1f} {:>11.1f} {:>15.1f}\n", name, medians[0], medians[1],
                   medians[2]);
        fmt::print(csv, "{},{:.1f},{:.1f},{:.1f}\n", name, medians[0], medians[1], medians[2]);
    }
}

/// Measures the errors of three ways to read two counters while threads count.
void measure_all_readings(std::FILE* csv) {
    const auto received_first = [](const EventCounters& events) {
        return Snapshot{events.received.read(), events.processed.read(), 0};  // from left to right
    };
    const auto received_last = [](const EventCounters& events) {
        const std::uint64_t processed = events.processed.read();
        return Snapshot{events.received.read(), processed, 0};
    };
    // read() gives up when 100 readings in a row disagree; its comment states the possible error.
    const auto ours = [](const EventCounters& events) { return events.read(); };
    fmt::print("{:<15} threads  readings negative too many {:>20} ns each\n", "read",
               "most pending");
    fmt::print(csv, "read,threads,readings,negative,too_many,most_pending,ns_each\n");
    for (const std::size_t threads : {0U, 1U, 2U, 16U}) {
        measure_readings("received first", threads, received_first, csv);
        const std::uint64_t none = measure_readings("received last", threads, received_last, csv) +
                                   measure_readings("until two agree", threads, ours, csv);
        assert(none == 0);
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::string what = "counters";
    std::string file = "/dev/null";
    std::size_t rounds = 7;
    CommandLine command_line{"Measures the cost of counting, and the errors of readings."};
    command_line.add("what", what, "counters or readings");
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--rounds", rounds, 1, 100, "of counters, whose median counts");
    command_line.parse(argc, argv);
    if (what != "counters" && what != "readings") {
        fail(fmt::format("unknown measurement '{}'; choose one of: counters, readings", what));
    }
    std::FILE* const csv = open_csv(file);
    what == "counters" ? measure_counts(rounds, csv) : measure_all_readings(csv);
    close_csv(csv, file);
    finish_output();
}
