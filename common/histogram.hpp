#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace unfreeze {

/// Counts latencies in buckets whose width grows with the latency: 64 buckets for each doubling. So
/// a value has an error of at most 1.6 %, from a microsecond to nine hours. The histogram takes
/// 16 KiB for any number of values.
class LatencyHistogram {
public:
    using microseconds = std::chrono::microseconds;

    void record(microseconds latency) {
        const auto us = static_cast<std::uint64_t>(std::max(latency, microseconds{0}).count());
        ++buckets_[bucket_of(us)];
        ++count_;
        sum_ += static_cast<double>(us);
        max_ = std::max(max_, latency);
    }

    std::uint64_t count() const { return count_; }
    microseconds max() const { return max_; }

    /// Zero if nothing has been recorded.
    std::chrono::duration<double, std::micro> mean() const {
        return std::chrono::duration<double, std::micro>{
            sum_ / static_cast<double>(std::max<std::uint64_t>(count_, 1))};
    }

    /// The latency that a fraction of all values does not exceed: quantile(0.99) is p99, the 99th
    /// smallest of 100 values and the 149th of 150. Rounded up to its bucket's end. Zero if nothing
    /// has been recorded.
    microseconds quantile(double fraction) const {
        // 0.07 * 100 is slightly more than 7 in binary, and must not become 8.
        constexpr double rounding_error = 1e-6;
        const auto wanted = static_cast<std::uint64_t>(
            std::max(0.0, std::ceil(fraction * static_cast<double>(count_) - rounding_error)));
        std::uint64_t seen = 0;
        for (std::size_t bucket = 0; bucket + 1 < buckets_.size(); ++bucket) {
            seen += buckets_[bucket];
            if (seen > 0 && seen >= wanted) {
                return std::min(max_, microseconds{static_cast<std::int64_t>(end_of(bucket))});
            }
        }
        return max_;  // the last bucket has no end
    }

private:
    static constexpr std::uint64_t per_doubling = 64;
    static constexpr std::size_t doublings = 30;  // 64 us x 2^29 is nine hours

    static std::size_t bucket_of(std::uint64_t us) {
        if (us < per_doubling) {
            return us;
        }
        const auto doubling = static_cast<std::size_t>(std::bit_width(us / per_doubling));
        const std::size_t bucket = doubling * per_doubling + (us >> (doubling - 1)) - per_doubling;
        return std::min(bucket, per_doubling * doublings - 1);
    }

    /// The largest value that falls into the bucket.
    static std::uint64_t end_of(std::size_t bucket) {
        if (bucket < per_doubling) {
            return bucket;
        }
        const std::size_t doubling = bucket / per_doubling;
        return ((bucket % per_doubling + per_doubling + 1) << (doubling - 1)) - 1;
    }

    std::array<std::uint64_t, per_doubling * doublings> buckets_{};
    std::uint64_t count_ = 0;
    double sum_ = 0;  // of microseconds
    microseconds max_{0};
};

}  // namespace unfreeze
