#include "stage09_metrics/metrics.hpp"

namespace unfreeze {

Snapshot EventCounters::read(int attempts_max) const {
    Snapshot last = read_once();
    for (int i = 1; i < attempts_max; ++i) {
        const Snapshot next = read_once();
        if (next == last) {
            break;
        }
        last = next;
    }
    return last;
}

/// Reads `received` last: each event is counted as received before it is counted as processed or
/// dropped, so a reader that sees the later count also sees the earlier one.
Snapshot EventCounters::read_once() const {
    Snapshot snapshot;
    snapshot.processed = processed.read();
    snapshot.dropped = dropped.read();
    snapshot.received = received.read();
    return snapshot;
}

void Metrics::count_refusal(const Response& refusal) {
    if (refusal.status == 503) {
        events.received.add();
        events.dropped.add();
    } else {
        invalid.add();
    }
}

ActiveJob::ActiveJob(Metrics& metrics, steady_clock::time_point received)
    : metrics_{metrics}, busy_{metrics.busy}, received_{received} {
    metrics_.queued.record(steady_clock::now() - received_);
}

ActiveJob::~ActiveJob() {
    metrics_.processed.record(steady_clock::now() - received_);
    metrics_.events.processed.add();
}

}  // namespace unfreeze
