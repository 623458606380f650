#pragma once

#include <chrono>
#include <cstdint>

#include "stage03_validation/event.hpp"
#include "stage09_metrics/counters.hpp"

namespace unfreeze {

using steady_clock = std::chrono::steady_clock;

/// What waits in the queue: an event, and since when.
struct Job {
    Event event;
    steady_clock::time_point accepted = steady_clock::now();
};

/// What has become of the events so far: received == processed + dropped + pending.
struct Snapshot {
    std::uint64_t received = 0;
    std::uint64_t processed = 0;
    std::uint64_t dropped = 0;

    /// In the queue, or in a worker's hands.
    std::uint64_t pending() const { return received - processed - dropped; }

    bool operator==(const Snapshot&) const = default;
};

/// The three counters that tell what becomes of an event. Who counts follows two rules: an event is
/// received before it is anything else, and it becomes one thing, once.
class EventCounters {
public:
    Counter received;
    Counter processed;
    Counter dropped;

    /// A reading that was true at one moment: it reads until two readings in a row agree. (What
    /// only grows and is the same twice has not changed in between: all of it was true then.)
    /// Where too much happens for that, it gives up: the last reading may count as pending what was
    /// over when it read `received`; never the other way round, for that it reads last of all.
    Snapshot read(int attempts_max = 100) const;

private:
    Snapshot read_once() const;
};

/// What a server tells about itself. Anybody counts, on any thread, and nobody waits.
struct Metrics {
    EventCounters events;
    Counter invalid;      // requests that made no sense, were too long, too slow or cut off
    Gauge connections;    // open
    Gauge busy;           // workers with a job in hand
    Histogram queued;     // from accepted to taken by a worker
    Histogram processed;  // from accepted to processed

    /// Counts a request that is refused: 503 is an event that is dropped as soon as it comes.
    void count_refusal(const Response& refusal);
};

/// A job in a worker's hands: counted as processed when this goes, however the work has ended.
class ActiveJob {
public:
    ActiveJob(Metrics& metrics, steady_clock::time_point accepted);
    ~ActiveJob();
    ActiveJob(const ActiveJob&) = delete;
    ActiveJob& operator=(const ActiveJob&) = delete;

private:
    Metrics& metrics_;
    const Gauge::Guard busy_;
    const steady_clock::time_point accepted_;
};

}  // namespace unfreeze
