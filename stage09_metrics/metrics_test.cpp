#include "stage09_metrics/metrics.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

TEST_CASE("What many threads count is all there, and a reading of it adds up at every moment") {
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
        // Below zero it would be a huge number. Above: an event each in the threads' hands, and
        // what they count beside a reading that found no quiet moment.
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

TEST_CASE("Two readings that agree show no more pending than there is, and one shows no less") {
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
    CHECK(too_many <= 10 + too_many_in_one / 10);  // now and then it gives up
}

TEST_CASE("Each counter has a cache line of its own") {
    CHECK(sizeof(Counter) == 64);
    CHECK(alignof(Counter) == 64);
    CHECK(alignof(Gauge) == 64);
    CHECK(sizeof(EventCounters) == 3 * 64);
}

TEST_CASE("A gauge tells how many there are now") {
    Gauge gauge;
    {
        const Gauge::Guard one{gauge};
        const Gauge::Guard other{gauge};
        CHECK(gauge.read() == 2);
    }
    CHECK(gauge.read() == 0);
}

TEST_CASE("A duration lies in the first bucket that is long enough for it") {
    Histogram histogram;
    for (const auto duration :
         {0ns, 1'000'000ns, 1'000'001ns, 60'000'000'000ns, 60'000'000'001ns, -5ns}) {
        histogram.record(duration);
    }
    const auto counts = histogram.read();
    CHECK(counts[0] == 3);  // 0, 1 ms, and what a clock should not have given
    CHECK(counts[1] == 1);
    CHECK(counts[Histogram::ends_ms.size() - 1] == 1);
    CHECK(counts[Histogram::ends_ms.size()] == 1);
    CHECK(histogram.sum().count() == Approx(120.002));
}

TEST_CASE("A job in hand is busy, then processed, however its work ends") {
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
