#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "clients/probe/target.hpp"
#include "common/histogram.hpp"

namespace unfreeze {

/// An answer, whatever its status.
struct LoadAnswer {
    std::size_t n = 0;                          // its request's number, counted from 0
    std::chrono::steady_clock::time_point due;  // when that was to be sent
    std::chrono::microseconds latency{0};       // from there on
    int status = 0;
};

/// A load: so many requests, so many at a time, over so many connections.
struct LoadOptions {
    std::size_t requests = 2'000;
    std::size_t concurrency = 50;  // requests on their way at a time, each on its own connection
    bool keep_alive = false;       // a connection carries many requests, where the server lets it
    std::size_t rate = 0;          // requests offered a second; 0: the next as one is answered
    std::chrono::milliseconds timeout_ms{5'000};  // for one request, connecting included
    bool progress = false;                        // a bar on standard error

    /// Makes the body of the n-th request, n counted from 0.
    std::function<std::string(std::size_t n)> body = event_body;

    /// Told of each answer when it has come, where anybody wants to be.
    std::function<void(const LoadAnswer& answer)> answered = {};
};

/// What became of a request that was neither accepted nor rejected.
enum class LoadError : std::size_t {
    connect,    // no connection
    timeout,    // no whole answer within timeout_ms
    closed,     // the server closed or reset the connection first
    malformed,  // an answer that is no HTTP
    status,     // an answer, and neither 2xx nor 503
};
constexpr std::size_t load_error_kinds = 5;
std::string_view name_of(LoadError error);

/// Every request ends up in exactly one count, but for those that were never sent: a server that
/// has let as many requests in a row run into their timeout as are on their way, and ten, is given
/// up.
struct LoadReport {
    std::uint64_t never_sent = 0;

    /// Servers close idle connections. A request that meets such an end on a connection that has
    /// carried others, before any byte of a response, is sent again on a new connection, once.
    std::uint64_t sent_again = 0;

    std::uint64_t accepted = 0;  // 2xx
    std::uint64_t rejected = 0;  // 503
    std::array<std::uint64_t, load_error_kinds> errors{};
    std::chrono::microseconds duration{0};

    /// Of the answered requests. Under a rate, a latency counts from the moment when the request
    /// was due and not from when it was sent at last: a server that stalls for a second makes all
    /// those wait that would have come in that second, and a client that politely holds them back
    /// would measure one slow answer where there were a thousand ("coordinated omission").
    LatencyHistogram latency;
    LatencyHistogram rejection_latency;  // of those answered with 503

    std::uint64_t errors_in_all() const;
    double answered_per_second() const;
};

/// Runs the load to its end. Bounded: each request ends by its timeout, and a frozen server is
/// given up. Throws std::system_error if this program lacks descriptors for the connections, which
/// is no error of the server's.
LoadReport run_load(const Target& target, const LoadOptions& options);

/// The report in a few lines for people, and as one JSON object for programs.
std::string to_text(const LoadReport& report);
std::string to_json(const LoadReport& report);

}  // namespace unfreeze
