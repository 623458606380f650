#include "stage09_metrics/metrics.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

TEST_CASE("The counts of many threads are complete, and every reading of them adds up") {
    constexpr std::uint64_t threads = 4;
    constexpr std::uint64_t events = 50'000;
    EventCounters counters;
    std::latch start{threads + 1};
    std::atomic<std::uint64_t> ended = 0;
    std::vector<std::jthread> counting;
    for (std::uint64_t t = 0; t < threads; ++t) {
        counting.emplace_back([&] {
            start.arrive_and_wait();
            for (std::uint64_t i = 0; i < events; ++i) {
                counters.received.add();
                (i % 3 == 0 ? counters.dropped : counters.processed).add();
            }
            ++ended;
        });
    }
    start.arrive_and_wait();
    Snapshot last;
    bool ordered = true;
    bool grows = true;
    while (ended < threads) {
        const Snapshot now = counters.read();
        // A negative number of pending events would wrap to a huge one. A positive one is possible,
        // because each thread may have an event in flight, or count during the reading.
        ordered = ordered && now.processed + now.dropped <= now.received;
        grows = grows && now.received >= last.received && now.processed >= last.processed &&
                now.dropped >= last.dropped;
        last = now;
    }
    CHECK(ordered);
    CHECK(grows);
    counting.clear();
    constexpr std::uint64_t dropped = threads * ((events + 2) / 3);
    CHECK(counters.read() == Snapshot{threads * events, threads * events - dropped, dropped});
    CHECK(counters.read().pending() == 0);
}

TEST_CASE("A reading rarely shows too many pending events, and never too few") {
    EventCounters counters;
    std::jthread counting{[&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            counters.received.add();
            counters.processed.add();
        }
    }};
    std::size_t too_many = 0;
    std::size_t too_many_in_one = 0;
    std::size_t less_than_none = 0;
    const auto until = steady_clock::now() + 500ms;
    while (steady_clock::now() < until) {
        for (int i = 0; i < 100; ++i) {
            too_many += counters.read().pending() > 1 ? 1 : 0;
            const Snapshot one = counters.read(1);
            too_many_in_one += one.pending() > 1 ? 1 : 0;
            less_than_none += one.processed > one.received ? 1 : 0;
        }
    }
    CHECK(less_than_none == 0);
    CHECK(too_many <= 10 + too_many_in_one / 10);  // a reading sometimes gives up
}

TEST_CASE("Each counter has its own cache line") {
    CHECK(sizeof(Counter) == 64);
    CHECK(alignof(Counter) == 64);
    CHECK(alignof(Gauge) == 64);
    CHECK(sizeof(EventCounters) == 3 * 64);
}

TEST_CASE("A gauge reports the current number") {
    Gauge gauge;
    {
        const Gauge::Guard one{gauge};
        const Gauge::Guard other{gauge};
        CHECK(gauge.read() == 2);
    }
    CHECK(gauge.read() == 0);
}

TEST_CASE("Each bucket ends later than the one before, and at most twice as late") {
    for (std::size_t i = 1; i < Histogram::ends_ms.size(); ++i) {
        CAPTURE(Histogram::ends_ms[i]);
        CHECK(Histogram::ends_ms[i] > Histogram::ends_ms[i - 1]);
        CHECK(Histogram::ends_ms[i] <= 2 * Histogram::ends_ms[i - 1]);
    }
}

TEST_CASE("A duration counts in the first bucket whose end it does not exceed") {
    Histogram histogram;
    for (const auto duration :
         {0ns, 1'000'000ns, 1'000'001ns, 60'000'000'000ns, 60'000'000'001ns, -5ns}) {
        histogram.record(duration);
    }
    const auto counts = histogram.read();
    CHECK(counts[0] == 3);  // 0, 1 ms, and an invalid negative duration
    CHECK(counts[1] == 1);
    CHECK(counts[Histogram::ends_ms.size() - 1] == 1);
    CHECK(counts[Histogram::ends_ms.size()] == 1);
    CHECK(histogram.sum().count() == Approx(120.002));
}

TEST_CASE("A job in progress counts as busy and then as processed, however its work ends") {
    Metrics metrics;
    metrics.events.received.add(2);
    {
        const ActiveJob job{metrics, steady_clock::now() - 30ms};
        CHECK(metrics.busy.read() == 1);
        CHECK(metrics.events.read().pending() == 2);
    }
    try {
        const ActiveJob job{metrics, steady_clock::now()};
        throw 7;
    } catch (int) {
    }
    CHECK(metrics.busy.read() == 0);
    CHECK(metrics.events.read() == Snapshot{2, 2, 0});
    CHECK(metrics.queued.sum() >= 30ms);
    CHECK(metrics.processed.sum() >= metrics.queued.sum());
    std::uint64_t processed = 0;
    for (const std::uint64_t bucket : metrics.processed.read()) {
        processed += bucket;
    }
    CHECK(processed == 2);
}
