#include "stage09_metrics/metrics.hpp"

namespace unfreeze {

Reading EventCounters::read(int readings_max) const {
    Reading last = read_once();
    for (int i = 1; i < readings_max; ++i) {
        const Reading next = read_once();
        if (next == last) {
            break;
        }
        last = next;
    }
    return last;
}

/// What was counted behind an event's receipt is read before it: whoever sees the one sees the
/// other.
Reading EventCounters::read_once() const {
    Reading reading;
    reading.processed = processed.read();
    reading.dropped = dropped.read();
    reading.received = received.read();
    return reading;
}

void Metrics::count_refusal(const Response& refusal) {
    if (refusal.status == 503) {
        events.received.add();
        events.dropped.add();
    } else {
        invalid.add();
    }
}

JobInHand::JobInHand(Metrics& metrics, steady_clock::time_point accepted)
    : metrics_{metrics}, busy_{metrics.busy}, accepted_{accepted} {
    metrics_.queued.record(steady_clock::now() - accepted_);
}

JobInHand::~JobInHand() {
    metrics_.processed.record(steady_clock::now() - accepted_);
    metrics_.events.processed.add();
}

}  // namespace unfreeze
