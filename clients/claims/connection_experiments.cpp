#include "clients/claims/experiments.hpp"

#include <fmt/format.h>

#include <list>

#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;

/// A probe while `silent` clients are connected and say nothing, and another once they have left.
/// Whoever came first is served first, so each of them is in the probe's way, if there is a way.
struct SilenceTrial {
    std::optional<std::chrono::microseconds> during;
    std::optional<std::chrono::microseconds> after;
};

SilenceTrial try_silence(const Target& target, std::size_t silent) {
    SilenceTrial trial;
    {
        std::list<Connection> clients;
        while (clients.size() < silent && (clients.empty() || clients.back().connected())) {
            clients.emplace_back(target);  // where the backlog is full, more would only wait
        }
        trial.during = probe(target, frozen_after);
    }
    trial.after = probe(target, 5s);
    return trial;
}

}  // namespace

Finding idle_client_blocks_others(const Target& target) {
    const SilenceTrial trial = try_silence(target, 1);
    return {!trial.during && trial.after,
            in_words(trial.during, frozen_after) +
                (trial.after ? "" : ", nor after the client had left"),
            summarize(trial.during)};
}

Finding idle_connections(const Target& target) {
    const SilenceTrial trial = try_silence(target, 20);
    return {trial.during.has_value(), in_words(trial.during, frozen_after),
            summarize(trial.during)};
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
        // An echo shows that the body was found; from stage 3 on a body not found is no event.
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
