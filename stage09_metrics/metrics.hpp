#pragma once

#include <chrono>
#include <cstdint>

#include "stage03_validation/event.hpp"
#include "stage09_metrics/counters.hpp"

namespace unfreeze {

using steady_clock = std::chrono::steady_clock;

/// An event in the queue, and when it came.
struct Job {
    Event event;
    steady_clock::time_point received;
};

/// The event counts at one moment: received == processed + dropped + pending.
struct Snapshot {
    std::uint64_t received = 0;
    std::uint64_t processed = 0;
    std::uint64_t dropped = 0;

    /// In the queue, or being worked on.
    std::uint64_t pending() const { return received - processed - dropped; }

    bool operator==(const Snapshot&) const = default;
};

/// The three counters of events. Two rules apply: count an event as received first, and then count
/// it once, as processed or as dropped.
class EventCounters {
public:
    Counter received;
    Counter processed;
    Counter dropped;

    /// Counts that were true at one moment: it reads until two readings in a row agree. (Counters
    /// that only grow and have the same value twice did not change in between.) After
    /// `attempts_max` attempts it returns the last reading. That one may show too many as pending,
    /// but never too few, because it reads `received` last.
    Snapshot read(int attempts_max = 100) const;

private:
    Snapshot read_once() const;
};

/// All metrics of a server. Any thread may count, and none waits.
struct Metrics {
    EventCounters events;
    Counter invalid;      // requests: malformed, too large, too slow, cut off, or 404 or 405
    Gauge connections;    // open
    Gauge busy;           // workers with a job
    Histogram queued;     // from the read of its bytes until a worker pops it
    Histogram processed;  // from that read to the end of the work

    /// Counts a refused request. With 503, it is an event that is received and dropped; with any
    /// other status, such as 400, 404 or 405, it is invalid.
    void count_refusal(const Response& refusal);
};

/// A job that a worker works on. Counts it as processed when destroyed, even if the work throws.
class ActiveJob {
public:
    ActiveJob(Metrics& metrics, steady_clock::time_point received);
    ~ActiveJob();
    ActiveJob(const ActiveJob&) = delete;
    ActiveJob& operator=(const ActiveJob&) = delete;

private:
    Metrics& metrics_;
    const Gauge::Guard busy_;
    const steady_clock::time_point received_;
};

}  // namespace unfreeze
