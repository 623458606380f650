#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace unfreeze {

/// A count that only grows. Any thread may call any function, and none waits. It has its own cache
/// line, because two counters on one line would slow each other down as one counter would.
class alignas(64) Counter {
public:
    /// With `release`, a thread that reads this count also sees all that this thread counted
    /// before. On x86 it costs the same as `relaxed`.
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_release); }

    std::uint64_t read() const { return value_.load(std::memory_order_acquire); }

private:
    std::atomic<std::uint64_t> value_ = 0;
};

/// A number that rises and falls, such as open connections.
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

/// A histogram of durations for Prometheus: each bucket has an upper end.
class Histogram {
public:
    /// The upper ends of the buckets in milliseconds. One more bucket follows, without an end.
    static constexpr std::array<std::uint32_t, 28> ends_ms{
        1,     2,     3,     5,      7,      10,     15,     20,    30,    50,
        70,    100,   150,   200,    300,    500,    700,    1'000, 1'500, 2'000,
        3'000, 5'000, 7'000, 10'000, 15'000, 20'000, 30'000, 60'000};

    void record(std::chrono::nanoseconds duration) {
        const auto end = std::lower_bound(
            ends_ms.begin(), ends_ms.end(), duration,
            [](std::uint32_t ms, auto took) { return std::chrono::milliseconds{ms} < took; });
        buckets_[static_cast<std::size_t>(end - ends_ms.begin())].add();
        nanoseconds_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)));
    }

    /// The count of each bucket. They are read in turn, so a duration that is recorded meanwhile
    /// may be only in a later bucket, or only in the sum.
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
