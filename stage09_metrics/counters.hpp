#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace unfreeze {

/// Counts what happens, on any thread: it grows, and nobody waits. On a cache line of its own,
/// since two counters on one would slow each other down as if they were one.
class alignas(64) Counter {
public:
    /// `release` costs what `relaxed` does on x86, and on any machine it is the promise that
    /// whoever reads this count sees all that its thread has counted before.
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_release); }

    std::uint64_t read() const { return value_.load(std::memory_order_acquire); }

private:
    std::atomic<std::uint64_t> value_ = 0;
};

/// How many there are of what comes and goes.
class alignas(64) Gauge {
public:
    /// Counts one more until it is destroyed.
    class Guard {
    public:
        explicit Guard(Gauge& gauge) : gauge_{gauge} {
            gauge_.value_.fetch_add(1, std::memory_order_relaxed);
        }
        ~Guard() { gauge_.value_.fetch_sub(1, std::memory_order_relaxed); }
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;

    private:
        Gauge& gauge_;
    };

    std::int64_t read() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_ = 0;
};

/// Counts durations in the buckets of Prometheus: how many took at most so long.
class Histogram {
public:
    /// The buckets' ends in milliseconds. Behind the last one there is one more, without an end.
    static constexpr std::array<std::uint32_t, 15> ends_ms{
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1'000, 2'000, 5'000, 10'000, 20'000, 60'000};

    void record(std::chrono::nanoseconds duration) {
        const auto end = std::lower_bound(
            ends_ms.begin(), ends_ms.end(), duration,
            [](std::uint32_t ms, auto took) { return std::chrono::milliseconds{ms} < took; });
        buckets_[static_cast<std::size_t>(end - ends_ms.begin())].add();
        nanoseconds_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)));
    }

    /// How many lie in each bucket. They are read one after the other, so that what is recorded
    /// meanwhile may be in the later ones, or in the sum, alone.
    std::array<std::uint64_t, ends_ms.size() + 1> read() const {
        std::array<std::uint64_t, ends_ms.size() + 1> counts{};
        std::transform(buckets_.begin(), buckets_.end(), counts.begin(),
                       [](const Counter& bucket) { return bucket.read(); });
        return counts;
    }

    std::chrono::duration<double> sum() const {
        return std::chrono::duration<double>{static_cast<double>(nanoseconds_.read()) / 1e9};
    }

private:
    std::array<Counter, ends_ms.size() + 1> buckets_;
    Counter nanoseconds_;
};

}  // namespace unfreeze
