#include <fmt/format.h>

#include <list>

#include "clients/claims/exchange.hpp"
#include "clients/claims/experiments.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;

std::optional<std::chrono::microseconds> time_of(const Reply& reply) {
    return reply.response
               ? std::optional{std::chrono::duration_cast<std::chrono::microseconds>(reply.took)}
               : std::nullopt;
}

/// "answered in 1.3 ms", "no answer in 1000 ms", "closed (after 0.02 s)".
std::string time_in_words(const Reply& reply) {
    return reply.response || reply.none.reason == NoResponse::Reason::late
               ? in_words(time_of(reply), frozen_after)
               : to_text(reply.none);
}

/// A valid event, while other connections are idle, and after these have closed. The idle ones
/// connect first, so a server that serves one connection at a time serves them first.
struct Delay {
    Reply during;
    Reply after;
    Cases cases;
};

Delay measure_delay(const Target& target, std::size_t count) {
    const std::string request = post(event_body(0));
    Delay delay;
    {
        std::list<Connection> idle;
        while (idle.size() < count && (idle.empty() || idle.back().connected())) {
            idle.emplace_back(target);  // if the backlog is full, stop: each further one would wait
        }
        delay.during = ask(target, request, frozen_after);
    }
    delay.after = ask(target, request, 5s);
    delay.cases.add(delay.during.response.has_value(), request,
                    fmt::format("a response within {} ms, while {} other connection{} open and "
                                "silent",
                                frozen_after.count(), count, count == 1 ? " is" : "s are"),
                    delay.during);
    return delay;
}

}  // namespace

Finding idle_client_blocks_others(const Target& target) {
    const Delay delay = measure_delay(target, 1);
    const bool frozen = !delay.during.response;
    return {
        .holds = frozen && delay.after.response,
        .figure = time_in_words(delay.during) +
                  (delay.after.response ? "" : ", nor after the idle client had left"),
        .summary = summarize(time_of(delay.during)),
        .test = delay.after.response || !frozen ? Finding::Test::done : Finding::Test::impossible,
        .failures = delay.cases.failures()};
}

Finding idle_connections(const Target& target) {
    const Delay delay = measure_delay(target, 20);
    return {.holds = delay.during.response.has_value(),
            .figure = time_in_words(delay.during),
            .summary = summarize(time_of(delay.during)),
            .failures = delay.cases.failures()};
}

Finding byte_by_byte(const Target& target) {
    const std::string request = post(event_body(0));
    Connection connection{target};
    for (const char byte : request) {
        connection.send({&byte, 1});
    }
    const Reply reply = reply_from(connection);
    Cases cases;
    cases.add(reply.is_2xx(), request,
              fmt::format("200 or 202, within {} ms of the last byte", frozen_after.count()),
              reply);
    return {
        .holds = reply.is_2xx(),
        .figure = reply.response ? fmt::format("status {}", reply.status()) : time_in_words(reply),
        .summary = summarize(reply.status()),
        .failures = cases.failures()};
}

Finding case_insensitive_fields(const Target& target) {
    const std::string body = event_body(0);
    Cases cases;
    for (const std::string_view name : {"content-length", "CONTENT-LENGTH", "cOnTeNt-LeNgTh"}) {
        const std::string request = fmt::format(
            "POST / HTTP/1.1\r\nhost: unfreeze\r\n{}: {}\r\n\r\n{}", name, body.size(), body);
        const Reply reply = ask(target, request);
        // An echo has to contain the body; from stage 3 on, a missing body would be an invalid
        // event.
        cases.add(reply.is_2xx() && !reply.response->body.empty(), request,
                  fmt::format("200 or 202 with a body, within {} ms", frozen_after.count()), reply);
    }
    return {.holds = cases.all_passed(),
            .figure = fmt::format("accepted {} of {}", cases.passed(), cases.size()),
            .summary = summarize(cases.passed(), cases.size()),
            .failures = cases.failures()};
}

Finding client_resets(const Target& target) {
    const std::string request = post(event_body(0));
    const std::string half = request.substr(0, 40);
    for (int i = 0; i < 100; ++i) {
        Connection connection{target};
        connection.send(half);
        connection.reset();
    }
    const Reply reply = ask(target, request);
    Cases cases;
    cases.add(reply.response.has_value(), request,
              fmt::format("a response within {} ms, after 100 resets", frozen_after.count()),
              reply);
    return {.holds = reply.response.has_value(),
            .figure = time_in_words(reply),
            .summary = summarize(time_of(reply)),
            .failures = cases.failures()};
}

}  // namespace unfreeze
