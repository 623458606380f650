#include "clients/claims/experiments.hpp"

#include <fmt/format.h>

#include <list>

#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;

/// How long a request takes while other connections are idle, and after these have closed. The idle
/// ones connect first, so a server that serves one connection at a time serves them first.
struct Delay {
    std::optional<std::chrono::microseconds> during;
    std::optional<std::chrono::microseconds> after;
};

Delay measure_delay(const Target& target, std::size_t count) {
    Delay delay;
    {
        std::list<Connection> idle;
        while (idle.size() < count && (idle.empty() || idle.back().connected())) {
            idle.emplace_back(target);  // if the backlog is full, stop: each further one would wait
        }
        delay.during = probe(target, frozen_after);
    }
    delay.after = probe(target, 5s);
    return delay;
}

}  // namespace

Finding idle_client_blocks_others(const Target& target) {
    const Delay delay = measure_delay(target, 1);
    return {!delay.during && delay.after,
            in_words(delay.during, frozen_after) +
                (delay.after ? "" : ", nor after the idle client had left"),
            summarize(delay.during)};
}

Finding idle_connections(const Target& target) {
    const Delay delay = measure_delay(target, 20);
    return {delay.during.has_value(), in_words(delay.during, frozen_after),
            summarize(delay.during)};
}

Finding byte_by_byte(const Target& target) {
    Connection connection{target};
    for (const char byte : post(event_body(0))) {
        connection.send({&byte, 1});
    }
    const auto response = connection.receive(frozen_after);
    const int status = response ? response->status : 0;
    return {status / 100 == 2, status == 0 ? "no answer" : fmt::format("status {}", status),
            summarize(status)};
}

Finding case_insensitive_fields(const Target& target) {
    const std::string body = event_body(0);
    std::size_t accepted = 0;
    for (const std::string_view name : {"content-length", "CONTENT-LENGTH", "cOnTeNt-LeNgTh"}) {
        Connection connection{target};
        connection.send(fmt::format("POST / HTTP/1.1\r\nhost: unfreeze\r\n{}: {}\r\n\r\n{}", name,
                                    body.size(), body));
        const auto response = connection.receive(frozen_after);
        // An echo has to contain the body; from stage 3 on, a missing body would be an invalid
        // event.
        accepted += response && response->status / 100 == 2 && !response->body.empty() ? 1 : 0;
    }
    return {accepted == 3, fmt::format("accepted {} of 3", accepted), summarize(accepted, 3)};
}

Finding client_resets(const Target& target) {
    const std::string half = post(event_body(0)).substr(0, 40);
    for (int i = 0; i < 100; ++i) {
        Connection connection{target};
        connection.send(half);
        connection.reset();
    }
    const auto answered = probe(target, frozen_after);
    return {answered.has_value(), in_words(answered, frozen_after), summarize(answered)};
}

}  // namespace unfreeze
