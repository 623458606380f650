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

/// A response, with any status.
struct LoadAnswer {
    std::size_t n = 0;                          // the request's number, from 0
    std::chrono::steady_clock::time_point due;  // the time when the request was to be sent
    std::chrono::microseconds latency{0};       // from `due` to the response
    int status = 0;
};

/// A number of requests to send, and how to send them.
struct LoadOptions {
    std::size_t requests = 2'000;
    std::size_t concurrency = 50;  // requests in flight at once, each on its own connection
    bool keep_alive = false;       // reuse a connection, if the server allows it
    std::size_t rate = 0;          // requests per second; 0: send the next after each response
    std::chrono::milliseconds timeout_ms{5'000};  // for one request, including the connect
    bool progress = false;                        // draw a bar on standard error

    /// Makes the body of request n.
    std::function<std::string(std::size_t n)> body = event_body;

    /// Called with each response as it arrives.
    std::function<void(const LoadAnswer& answer)> answered = {};
};

/// Why a request was neither accepted nor rejected.
enum class LoadError : std::size_t {
    connect,    // the connection failed
    timeout,    // no complete response within timeout_ms
    closed,     // the server closed or reset the connection before a complete response
    malformed,  // the response is not HTTP
    status,     // the status is neither 2xx nor 503
};
constexpr std::size_t load_error_kinds = 5;
[[nodiscard]] std::string_view name_of(LoadError error);

/// Each request is counted once, in `accepted`, `rejected`, `errors` or `never_sent`. The load
/// stops early if as many requests in a row time out as are in flight, and at least ten.
struct LoadReport {
    std::uint64_t never_sent = 0;
    std::uint64_t sent_again = 0;  // retries, as should_retry() in connection.hpp says
    std::uint64_t accepted = 0;    // 2xx
    std::uint64_t rejected = 0;    // 503
    std::array<std::uint64_t, load_error_kinds> errors{};
    std::chrono::microseconds duration{0};

    /// Latency of all responses. With a rate, it counts from the time when the request was due, not
    /// from when it was sent. If a server stalls for a second, all requests that were due in that
    /// second have waited. A client that holds them back and counts from the send would measure one
    /// slow response instead of a thousand ("coordinated omission").
    LatencyHistogram latency;
    LatencyHistogram rejection_latency;  // of 503 responses

    std::uint64_t errors_in_all() const;
    double answered_per_second() const;
};

/// Runs the load to its end, in bounded time: each request has a timeout, and a frozen server ends
/// the load. Throws std::system_error if this program has too few descriptors for the connections,
/// which is not an error of the server.
[[nodiscard]] LoadReport run_load(const Target& target, const LoadOptions& options);

/// The report in a few lines for people, and as a JSON object for programs.
[[nodiscard]] std::string to_text(const LoadReport& report);
[[nodiscard]] std::string to_json(const LoadReport& report);

}  // namespace unfreeze
