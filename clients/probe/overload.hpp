#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "clients/probe/process.hpp"
#include "common/histogram.hpp"

namespace unfreeze {

/// More events than a server can work on, and perhaps balance queries beside them. Where these hold
/// up the thread that takes in the events, a few writers can't keep the queue filled.
struct OverloadOptions {
    Command command;          // starts a server that prints a line for each job, as stage 7 does
    std::size_t writers = 8;  // send events, each one after the other; a pause follows a 503
    std::size_t readers = 0;  // send queries, a pause behind each
    std::chrono::seconds span{5};  // to measure, once the queue is full

    /// Makes the n-th event's user, or that of a query. Empty: each event is for a user of its own,
    /// by whom its latency is known.
    std::function<std::string(std::size_t n)> user = {};
};

/// What the server did in the span.
struct OverloadReport {
    std::chrono::duration<double> took{0};  // the span as it was, in seconds
    double jobs_per_second = 0;
    LatencyHistogram wait;     // of its jobs for their lock, as the server tells it
    LatencyHistogram latency;  // of its jobs, from the sending of the event; where users differ
    LatencyHistogram query;    // of balances asked for
};

/// Starts the server, overloads it, and lets it go again. The span begins when it has worked on all
/// that it had accepted before its first refusal: from there on, each job has waited in a queue
/// that was full, as long as the writers keep it so. Throws std::runtime_error where the server
/// does not start or come that far in a minute, and where it ends or prints nothing for ten seconds
/// before the span is over.
OverloadReport measure_overload(const OverloadOptions& options);

}  // namespace unfreeze
