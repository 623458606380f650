#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "clients/probe/process.hpp"
#include "common/histogram.hpp"

namespace unfreeze {

/// A load of more events than a server can process, with balance queries if there are readers. If
/// the queries block the thread that accepts the events, a few writers can't keep the queue full.
struct OverloadOptions {
    Command command;               // starts a server that prints a line per job, as stage 7 does
    std::size_t writers = 8;       // each sends one event after another, with a pause after a 503
    std::size_t readers = 0;       // each sends one query after another, with a pause after each
    std::chrono::seconds span{5};  // to measure, once the queue is full

    /// Makes the user of event n, or of query n. If empty, each event has a different user,
    /// whose name gives the event's latency.
    std::function<std::string(std::size_t n)> user = {};
};

/// The server's work in the measured span.
struct OverloadReport {
    std::chrono::duration<double> took{0};  // the span as measured, in seconds
    double jobs_per_second = 0;
    LatencyHistogram wait;     // of jobs for their lock, as the server prints it
    LatencyHistogram latency;  // of jobs, from the send of the event; empty if `user` is set
    LatencyHistogram query;    // of balance queries
};

/// Starts the server, overloads it, and stops it. The span begins once all events are processed
/// that the server accepted before its first 503. From then on each job has waited in a full queue,
/// as long as the writers keep it full. Throws std::runtime_error if the server does not start, is
/// not overloaded within a minute, or exits or prints nothing for ten seconds during the span.
[[nodiscard]] OverloadReport measure_overload(const OverloadOptions& options);

}  // namespace unfreeze
