#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>

#include "clients/claims/experiments.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;

/// Sends these bytes on a new connection, and returns the response.
std::optional<ReceivedResponse> response_to(const Target& target, std::string_view bytes) {
    Connection connection{target};
    connection.send(bytes, frozen_after);
    return connection.receive(frozen_after);
}

/// All were rejected, and the next client is served.
Finding rejections(const Target& target, std::size_t rejected, std::size_t of) {
    const bool served = probe(target, frozen_after).has_value();
    return {rejected == of && served,
            fmt::format("rejected {} of {}, next client {}", rejected, of,
                        served ? "served" : "not served"),
            summarize(rejected, of)};
}

}  // namespace

Finding keep_alive(const Target& target) {
    constexpr std::size_t requests = 20;
    Connection connection{target};
    std::size_t answered = 0;
    while (answered < requests && connection.send(post(event_body(answered)), frozen_after) &&
           connection.receive(frozen_after)) {
        ++answered;
    }
    return {answered == requests,
            fmt::format("{} of {} answered on one connection", answered, requests),
            summarize(answered, requests)};
}

Finding pipelining(const Target& target) {
    constexpr std::size_t rounds = 20;
    std::string bytes;
    for (std::size_t i = 0; i < rounds; ++i) {
        bytes += post(event_body(i)) + "GET /nowhere HTTP/1.1\r\nHost: unfreeze\r\n\r\n";
    }
    Connection connection{target};
    connection.send(bytes);
    std::size_t in_order = 0;
    for (std::size_t i = 0; i < 2 * rounds; ++i) {
        const auto response = connection.receive(frozen_after);
        const bool accepted = response && (response->status / 100 == 2 || response->status == 503);
        const bool not_found = response && response->status == 404;
        if (!(i % 2 == 0 ? accepted : not_found)) {
            break;
        }
        ++in_order;
    }
    return {in_order == 2 * rounds, fmt::format("{} of {} in order", in_order, 2 * rounds),
            summarize(in_order, 2 * rounds)};
}

/// Bytes that end like a request head, but are not one.
Finding malformed_requests(const Target& target) {
    std::size_t rejected = 0;
    const auto not_http = {"hello\r\n\r\n", "\x16\x03\x01\x02\x01\r\n\r\n",
                           "POST / HTTP/1.1\r\nno colon here\r\n\r\n"};
    for (const std::string_view bytes : not_http) {
        rejected += status_of(response_to(target, bytes)) == 400 ? 1 : 0;
    }
    return rejections(target, rejected, not_http.size());
}

Finding random_bytes(const Target& target) {
    constexpr std::size_t clients = 200;
    constexpr std::size_t bytes_each = 64 * 1024;
    std::mt19937 random{20'240'607};  // the same bytes in each run
    std::size_t rejected = 0;
    for (std::size_t i = 0; i < clients; ++i) {
        std::string bytes(bytes_each, '\0');
        std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
        Connection connection{target};
        connection.send(bytes);
        connection.finish_sending();
        rejected += status_of(connection.receive(frozen_after)) == 400 ? 1 : 0;
    }
    return rejections(target, rejected, clients);
}

/// A proxy and a server may disagree on where each of these requests ends (RFC 9112 11.2).
Finding ambiguous_framing(const Target& target) {
    const std::string body = event_body(0);
    const std::string length = std::to_string(body.size());
    const std::array<std::string, 4> framings{
        "Content-Length: " + length + "\r\nContent-Length: 3\r\n",
        "Content-Length: " + length + "\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length : " + length + "\r\n", "Content-Length: +" + length + "\r\n"};
    std::size_t rejected = 0;
    for (const std::string& framing : framings) {
        const auto response =
            response_to(target, "POST / HTTP/1.1\r\nHost: unfreeze\r\n" + framing + "\r\n" + body);
        rejected += status_of(response) == 400 && !response->keep_alive ? 1 : 0;
    }
    return {rejected == framings.size(),
            fmt::format("rejected {} of {}", rejected, framings.size()),
            summarize(rejected, framings.size())};
}

Finding endless_head(const Target& target) {
    constexpr std::size_t limit = 1024 * 1024;
    const std::string piece = "X: " + std::string(1'000, 'x') + "\r\n";
    Connection connection{target};
    std::size_t sent = 0;
    std::optional<ReceivedResponse> response;
    connection.send("POST / HTTP/1.1\r\nHost: unfreeze\r\n");
    while (!response && sent < limit && connection.send(piece, frozen_after)) {
        sent += piece.size();
        response = connection.receive(0ms);
    }
    if (!response) {
        response = connection.receive(frozen_after);
    }
    const int status = status_of(response);
    return {status == 431, fmt::format("{} after {} KiB", summarize(status), sent / 1024),
            summarize(status)};
}

/// Sends a byte every 100 ms, for longer than the head timeout of most servers.
Finding slow_head(const Target& target) {
    constexpr auto patience = 12s;
    Connection connection{target};
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
        return std::chrono::duration<double>{std::chrono::steady_clock::now() - start}.count();
    };
    connection.send("POST / HTTP/1.1\r\nX: ");
    std::optional<ReceivedResponse> response;
    while (!response && elapsed() < std::chrono::duration<double>{patience}.count() &&
           connection.send("x")) {
        response = connection.receive(100ms);
    }
    const int status = status_of(response);
    return {status == 408,
            status == 0 ? fmt::format("no answer in {} s", patience.count())
                        : fmt::format("{} after {:.1f} s", status, elapsed()),
            status == 0 ? summarize(status) : fmt::format("{:.1f} s", elapsed())};
}

Finding large_body(const Target& target) {
    constexpr std::size_t stated = 40 * 1024 * 1024;
    const std::string piece(64 * 1024, 'x');
    Connection connection{target};
    connection.send(
        fmt::format("POST / HTTP/1.1\r\nHost: unfreeze\r\nContent-Length: {}\r\n\r\n", stated));
    std::size_t sent = 0;
    std::optional<ReceivedResponse> response;
    while (!response && sent < stated && connection.send(piece, frozen_after)) {
        sent += piece.size();
        response = connection.receive(sent == piece.size() ? frozen_after : 0ms);
    }
    if (!response && sent < stated) {
        response = connection.receive(frozen_after);  // sending failed, perhaps after a response
    }
    const int status = status_of(response);
    return {status == 413 && sent < stated,
            fmt::format("{} after {} of {} KiB", summarize(status), sent / 1024, stated / 1024),
            summarize(status)};
}

Finding rejection_reason(const Target& target) {
    const std::array<std::string_view, 4> invalid_events{
        R"({"user":"alice","action":"buy"})", R"({"user":"alice","action":"buy","amount":"1"})",
        R"({"user":"alice","action":"buy","amount":9223372036854775808})", R"({"user":"alice")"};
    std::size_t explained = 0;
    for (const std::string_view body : invalid_events) {
        const auto response = response_to(target, post(body));
        explained += status_of(response) == 400 &&
                             response->body.find(R"("reason":"invalid_json")") != std::string::npos
                         ? 1
                         : 0;
    }
    return {explained == invalid_events.size(),
            fmt::format("a reason for {} of {}", explained, invalid_events.size()),
            summarize(explained, invalid_events.size())};
}

/// Each bracket costs a recursive parser another stack frame.
Finding nested_json(const Target& target) {
    const int status = status_of(response_to(target, post(R"({"x":)" + std::string(60'000, '['))));
    const bool served = probe(target, frozen_after).has_value();
    return {status == 400 && served,
            fmt::format("{}, next client {}", summarize(status), served ? "served" : "not served"),
            served ? summarize(status) : "gone"};
}

}  // namespace unfreeze
