#include "common/histogram.hpp"

#include <algorithm>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

using us = std::chrono::microseconds;

/// A histogram of these values.
LatencyHistogram histogram_of(const std::vector<us>& values) {
    LatencyHistogram histogram;
    for (const us value : values) {
        histogram.record(value);
    }
    return histogram;
}

/// Whether `found` is not below `exact`, and at most 1.6 % above it.
bool stands_for(us found, us exact) {
    return found >= exact && 1000 * (found - exact) <= 16 * exact;
}

/// All values from 0 to nine hours at which a bucket could begin or end, and their neighbours.
std::vector<us> values_at_bounds() {
    std::vector<us> values;
    for (us value = 0us; value < 2048us; ++value) {
        values.push_back(value);
    }
    for (us doubled = 2048us; doubled < 9h; doubled *= 2) {
        for (int part = 0; part < 128; ++part) {
            const us bound = doubled + doubled * part / 128;
            for (const us value : {bound - 1us, bound, bound + 1us}) {
                if (value <= 9h) {
                    values.push_back(value);
                }
            }
        }
    }
    return values;
}

}  // namespace

TEST_CASE("Every latency up to nine hours has an error of at most 1.6 %") {
    for (const us value : values_at_bounds()) {
        // With a larger value, quantile(0.5) returns the end of the bucket and not max().
        const LatencyHistogram histogram = histogram_of({value, 9h + 30min});
        CAPTURE(value.count(), histogram.quantile(0.5).count());
        REQUIRE(stands_for(histogram.quantile(0.5), value));
    }
}

TEST_CASE("A latency below 128 us is exact") {
    for (us value = 0us; value < 128us; ++value) {
        CAPTURE(value.count());
        REQUIRE(histogram_of({value, 1s}).quantile(0.5) == value);
    }
}

TEST_CASE("A longer latency's bucket never ends before a shorter one's") {
    us last = 0us;
    std::vector<us> values = values_at_bounds();
    std::sort(values.begin(), values.end());
    for (const us value : values) {
        const us found = histogram_of({value, 9h + 30min}).quantile(0.5);
        CAPTURE(value.count());
        REQUIRE(found >= last);
        last = found;
    }
}

TEST_CASE("The quantiles of 1 to 1000 ms are right") {
    std::vector<us> values;
    for (int ms = 1000; ms >= 1; --ms) {
        values.push_back(std::chrono::milliseconds{ms});
    }
    const LatencyHistogram histogram = histogram_of(values);
    CHECK(histogram.count() == 1000);
    CHECK(histogram.max() == 1000ms);
    // A bucket is up to 1.6 % wide. From 500 ms on that is several of these values, so quantile()
    // returns the end of the bucket that contains the exact quantile.
    for (const int ms : {1, 10, 250, 500, 750, 900, 990, 999, 1000}) {
        CAPTURE(ms);
        CHECK(stands_for(histogram.quantile(ms / 1000.0), std::chrono::milliseconds{ms}));
    }
}

TEST_CASE("A quantile is the smallest value that the fraction of values does not exceed") {
    // Values below 128 us are exact, so the test notices a result that is one rank too high or low.
    std::vector<us> values;
    for (us value = 1us; value <= 100us; ++value) {
        values.push_back(value);
    }
    const LatencyHistogram hundred = histogram_of(values);
    for (int percent = 1; percent <= 100; ++percent) {
        CAPTURE(percent);
        CHECK(hundred.quantile(percent / 100.0) == us{percent});
    }
    CHECK(hundred.quantile(0.985) == 99us);
    CHECK(hundred.quantile(0.0) == 1us);

    // Between two ranks it is the upper one: too few values are at most the lower one.
    const LatencyHistogram three = histogram_of({10us, 20us, 30us});
    CHECK(three.quantile(0.33) == 10us);
    CHECK(three.quantile(0.34) == 20us);
    CHECK(three.quantile(0.50) == 20us);
    CHECK(three.quantile(0.67) == 30us);
    CHECK(three.quantile(0.99) == 30us);

    // One slow response in a hundred shows only in p100, but two also show in p99.
    values.assign(99, 1us);
    values.push_back(100us);
    CHECK(histogram_of(values).quantile(0.99) == 1us);
    CHECK(histogram_of(values).quantile(1.00) == 100us);
    values.front() = 100us;
    CHECK(histogram_of(values).quantile(0.99) == 100us);
}

TEST_CASE("No quantile is above the largest value") {
    for (const us largest : {1us, 129us, 1'000us, 1'000'001us, us{9h}, us{10h}}) {
        const LatencyHistogram histogram = histogram_of({0us, largest, largest / 2});
        CAPTURE(largest.count());
        CHECK(histogram.max() == largest);
        CHECK(histogram.quantile(1.0) == largest);
        CHECK(histogram.quantile(0.99) <= largest);
    }
}

TEST_CASE("The mean is exact") {
    CHECK(histogram_of({1us, 2us, 6us}).mean() == 3us);
    CHECK(histogram_of({1'000'001us, 1'000'002us}).mean().count() == 1'000'001.5);
    CHECK(histogram_of({-5us, 1us}).mean().count() == 0.5);
    CHECK(LatencyHistogram{}.mean() == 0us);
}

TEST_CASE("An empty histogram is zero everywhere") {
    const LatencyHistogram histogram;
    CHECK(histogram.count() == 0);
    CHECK(histogram.max() == 0us);
    for (const double fraction : {0.0, 0.5, 0.99, 1.0}) {
        CHECK(histogram.quantile(fraction) == 0us);
    }
}

TEST_CASE("A latency below zero counts as zero") {
    const LatencyHistogram histogram = histogram_of({-1us, us::min(), 5us});
    CHECK(histogram.count() == 3);
    CHECK(histogram.max() == 5us);
    CHECK(histogram.quantile(0.5) == 0us);
    CHECK(histogram.quantile(1.0) == 5us);
    CHECK(histogram_of({-7us}).max() == 0us);
}

TEST_CASE("A latency above nine hours is counted in the last bucket") {
    const LatencyHistogram histogram = histogram_of({1us, 10h, 1000h, us::max()});
    CHECK(histogram.count() == 4);
    CHECK(histogram.quantile(0.25) == 1us);
    CHECK(histogram.quantile(0.5) > 9h);
    CHECK(histogram.quantile(1.0) == us::max());
}

TEST_CASE("Every recorded value is counted") {
    LatencyHistogram histogram;
    for (std::uint64_t n = 0; n < 100'000; ++n) {
        REQUIRE(histogram.count() == n);
        histogram.record(us{n % 1000});
    }
    CHECK(histogram.quantile(0.1) == 99us);
}
