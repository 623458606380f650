#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <random>

#include "clients/claims/exchange.hpp"
#include "clients/claims/experiments.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/json_members.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;

std::string within_bound(std::string_view what) {
    return fmt::format("{}, within {} ms", what, frozen_after.count());
}

/// Bytes that are not HTTP. A server may see them as a bad request, or as a head or a request line
/// that is too long.
bool rejects_noise(const Reply& reply) {
    return reply.status() == 400 || reply.status() == 414 || reply.status() == 431;
}

/// All were rejected, and the next client is served.
Finding rejections(const Target& target, Cases cases) {
    const std::size_t rejected = cases.passed();
    const std::size_t of = cases.size();
    const bool served = serves_next_client(target, cases);
    return {.holds = rejected == of && served,
            .figure = fmt::format("rejected {} of {}, next client {}", rejected, of,
                                  served ? "served" : "not served"),
            .summary = summarize(rejected, of),
            .failures = cases.failures()};
}

}  // namespace

/// One of the requests is not an event. It must not end the connection, because HTTP's framing is
/// not in doubt.
Finding keep_alive(const Target& target) {
    constexpr std::size_t requests = 20;
    constexpr std::size_t invalid = requests / 2;
    Connection connection{target};
    Cases cases;
    std::size_t answered = 0;
    while (cases.size() < requests && cases.all_passed()) {
        const std::size_t n = cases.size();
        const std::string request = post(n == invalid ? "not an event" : event_body(n));
        connection.send(request, frozen_after);
        const Reply reply = reply_from(connection);
        answered += reply.response ? 1 : 0;
        if (reply.response && !reply.response->keep_alive) {
            const bool old = reply.response->head.starts_with("HTTP/1.0");
            cases.add(false, request,
                      fmt::format("response {} of {} on one connection, in HTTP/1.1 and without "
                                  "Connection: close, or in HTTP/1.0 with Connection: keep-alive",
                                  n + 1, requests),
                      fmt::format("{} {}, after which a client has to close", reply.status(),
                                  old ? "in HTTP/1.0"
                                  : reply.response->field("Connection").empty()
                                      ? "with a body that has no length"
                                      : "with Connection: close"));
        } else {
            const bool expected = n != invalid || reply.status() == 400 || reply.is_2xx();
            cases.add(reply.response && expected, request,
                      within_bound(fmt::format("response {} of {} on one connection{}", n + 1,
                                               requests, n == invalid ? ", a 400" : "")),
                      reply);
        }
    }
    return {.holds = cases.passed() == requests,
            .figure = fmt::format("{} of {} answered on one connection", answered, requests),
            .summary = summarize(answered, requests),
            .failures = cases.failures()};
}

Finding pipelining(const Target& target) {
    constexpr std::size_t rounds = 20;
    std::string bytes;
    for (std::size_t i = 0; i < rounds; ++i) {
        bytes += post(event_body(i)) + get("/nowhere");
    }
    Connection connection{target};
    connection.send(bytes);
    Cases cases;
    while (cases.size() < 2 * rounds && cases.all_passed()) {
        const std::size_t n = cases.size();
        const bool event = n % 2 == 0;
        const Reply reply = reply_from(connection);
        const bool accepted = reply.is_2xx() || reply.status() == 503;
        cases.add(event ? accepted : reply.status() == 404,
                  "20 times, all in one send: " + post(event_body(0)) + get("/nowhere"),
                  within_bound(fmt::format("{} as response {} of {}",
                                           event ? "200, 202 or 503" : "404", n + 1, 2 * rounds)),
                  reply);
    }
    return {.holds = cases.passed() == 2 * rounds,
            .figure = fmt::format("{} of {} in order", cases.passed(), 2 * rounds),
            .summary = summarize(cases.passed(), 2 * rounds),
            .failures = cases.failures()};
}

/// Bytes that end like a request head, but are not one.
Finding malformed_requests(const Target& target) {
    Cases cases;
    for (const std::string_view bytes : {"hello\r\n\r\n", "\x16\x03\x01\x02\x01\r\n\r\n",
                                         "POST / HTTP/1.1\r\nno colon here\r\n\r\n"}) {
        const Reply reply = ask(target, bytes);
        cases.add(rejects_noise(reply), bytes, within_bound("400"), reply);
    }
    return rejections(target, std::move(cases));
}

Finding random_bytes(const Target& target) {
    constexpr std::size_t clients = 200;
    constexpr std::size_t bytes_each = 64 * 1024;
    std::mt19937 random{20'240'607};  // the same bytes in each run
    Cases cases;
    for (std::size_t i = 0; i < clients; ++i) {
        std::string bytes(bytes_each, '\0');
        std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
        Connection connection{target};
        connection.send(bytes);
        connection.finish_sending();
        const Reply reply = reply_from(connection);
        cases.add(rejects_noise(reply), bytes, within_bound("400 or 431"), reply);
    }
    return rejections(target, std::move(cases));
}

/// A proxy and a server may disagree on where each of these requests ends (RFC 9112 11.2).
Finding ambiguous_framing(const Target& target) {
    const std::string body = event_body(0);
    const std::string length = std::to_string(body.size());
    struct Framing {
        std::string fields;
        bool may_be_read = false;  // the chunks, if the server closes afterwards (RFC 9112 6.1)
        bool may_stay_open = false;
    };
    const std::array<Framing, 4> framings{{
        {.fields = "Content-Length: " + length + "\r\nContent-Length: 3\r\n"},
        {.fields = "Content-Length: " + length + "\r\nTransfer-Encoding: chunked\r\n",
         .may_be_read = true},
        {.fields = "Content-Length : " + length + "\r\n", .may_stay_open = true},
        {.fields = "Content-Length: +" + length + "\r\n"},
    }};
    Cases cases;
    for (const Framing& framing : framings) {
        const std::string sent_body =
            framing.may_be_read ? fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", body.size(), body) : body;
        const std::string request =
            "POST / HTTP/1.1\r\nHost: unfreeze\r\n" + framing.fields + "\r\n" + sent_body;
        Connection connection{target};
        connection.send(request, frozen_after);
        const Reply reply = reply_from(connection);
        const bool rejected =
            reply.status() == 400 ||
            (framing.may_be_read && (reply.status() == 411 || reply.status() == 501));
        const bool closed = reply.response && connection.closed_by_server(frozen_after);
        cases.add(rejected && closed, request,
                  within_bound("400") + ", then a close within the same time",
                  to_text(reply) + (reply.response && !closed ? ", and no close" : ""),
                  (framing.may_be_read && reply.is_2xx()) || (framing.may_stay_open && rejected));
    }
    return {.holds = cases.all_passed(),
            .figure = fmt::format("rejected {} of {}", cases.passed(), cases.size()),
            .summary = summarize(cases.passed(), cases.size()),
            .failures = cases.failures()};
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
    const Reply reply{std::move(response), connection.no_response()};
    Finding finding{
        .holds = reply.status() == 431,
        .figure = fmt::format("{} after {} KiB", summarize(reply.status()), sent / 1024),
        .summary = summarize(reply.status())};
    if (!finding.holds) {
        finding.failures.push_back(
            {fmt::format("a head of {} lines, each with 1000 bytes", sent / piece.size()),
             within_bound("431 before 1 MiB, or"), to_text(reply), false, false,
             "(printf 'POST / HTTP/1.1\\r\\nHost: x\\r\\n'; yes \"$(printf 'X: "
             "xxxxxxxxxxxxxxxx\\r')\" | head -n 60000) | nc -w 5 127.0.0.1 $PORT"});
    }
    return finding;
}

/// Sends a byte every 100 ms, for longer than the head timeout of most servers. HTTP has a status
/// for a client that is too slow. A server may also only close.
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
        if (!response && connection.no_response().reason != NoResponse::Reason::late) {
            break;
        }
    }
    const Reply reply{std::move(response), connection.no_response()};
    const int status = reply.status();
    const bool closed = status == 0 && elapsed() < std::chrono::duration<double>{patience}.count();
    Finding finding{
        .holds = status == 408,
        .figure = status != 0 ? fmt::format("{} after {:.1f} s", status, elapsed())
                  : closed    ? fmt::format("no answer, closed after {:.1f} s", elapsed())
                              : fmt::format("no answer in {} s", patience.count()),
        .summary = status == 0 ? summarize(status) : fmt::format("{:.1f} s", elapsed())};
    if (!finding.holds) {
        finding.failures.push_back(
            {"a head, one byte each 100 ms: POST / HTTP/1.1\\r\\nX: xxxx",
             fmt::format("408, within {} s", patience.count()),
             status != 0 ? to_text(reply) : finding.figure, closed, false,
             "(printf 'POST / HTTP/1.1\\r\\nX: '; while sleep 0.1; do printf x; done) | nc "
             "127.0.0.1 $PORT"});
    }
    return finding;
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
    const Reply reply{std::move(response), connection.no_response()};
    const int status = reply.status();
    Finding finding{.holds = status == 413 && sent < stated,
                    .figure = fmt::format("{} after {} of {} KiB", summarize(status), sent / 1024,
                                          stated / 1024),
                    .summary = summarize(status)};
    if (!finding.holds) {
        finding.failures.push_back(
            {fmt::format("POST / with Content-Length: {}, and the body", stated),
             within_bound("413 before all of the body is sent, and"),
             fmt::format("{}, {} KiB of the body were sent", to_text(reply), sent / 1024), false,
             false,
             "head -c 41943040 /dev/zero | curl -i -H Expect: --data-binary @- "
             "http://127.0.0.1:$PORT/"});
    }
    return finding;
}

Finding rejection_reason(const Target& target) {
    Cases cases;
    for (const std::string_view body :
         {R"({"user":"alice","action":"buy"})", R"({"user":"alice","action":"buy","amount":"1"})",
          R"({"user":"alice","action":"buy","amount":9223372036854775808})",
          R"({"user":"alice")"}) {
        const std::string request = post(body);
        const Reply reply = ask(target, request);
        const auto members = JsonMembers::parse(reply.response ? reply.response->body : "");
        cases.add(reply.status() == 400 && members && members->string("reason") == "invalid_json",
                  request, within_bound(R"(400 and {"reason":"invalid_json"})"), reply);
    }
    return {.holds = cases.all_passed(),
            .figure = fmt::format("a reason for {} of {}", cases.passed(), cases.size()),
            .summary = summarize(cases.passed(), cases.size()),
            .failures = cases.failures()};
}

/// Each bracket costs a recursive parser another stack frame.
Finding nested_json(const Target& target) {
    const std::string request = post(R"({"x":)" + std::string(60'000, '['));
    const Reply reply = ask(target, request);
    Cases cases;
    cases.add(reply.status() == 400, request, within_bound("400"), reply);
    const bool served = serves_next_client(target, cases);
    return {.holds = reply.status() == 400 && served,
            .figure = fmt::format("{}, next client {}", summarize(reply.status()),
                                  served ? "served" : "not served"),
            .summary = served ? summarize(reply.status()) : "gone",
            .failures = cases.failures()};
}

}  // namespace unfreeze
