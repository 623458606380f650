#include "clients/experiments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <random>

#include "clients/connection.hpp"

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
        while (clients.size() < silent) {
            clients.emplace_back(target);
        }
        trial.during = probe(target, frozen_after);
    }
    trial.after = probe(target, 5s);
    return trial;
}

}  // namespace

Finding silent_client(const Target& target) {
    const SilenceTrial trial = try_silence(target, 1);
    return {!trial.during && trial.after,
            in_words(trial.during, frozen_after) +
                (trial.after ? "" : ", nor after the client had left")};
}

Finding twenty_silent_clients(const Target& target) {
    const SilenceTrial trial = try_silence(target, 20);
    return {trial.during.has_value(), in_words(trial.during, frozen_after)};
}

Finding byte_by_byte(const Target& target) {
    Connection connection{target};
    for (const char byte : post(event_body(0))) {
        connection.send({&byte, 1});
    }
    const auto response = connection.receive(frozen_after);
    const int status = response ? response->status : 0;
    return {status / 100 == 2, status == 0 ? "no answer" : fmt::format("status {}", status)};
}

Finding any_letter_case(const Target& target) {
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
    return {accepted == 3, fmt::format("accepted {} of 3", accepted)};
}

Finding vanishing_clients(const Target& target) {
    const std::string half = post(event_body(0)).substr(0, 40);
    for (int i = 0; i < 100; ++i) {
        Connection connection{target};
        connection.send(half);
        connection.reset();
    }
    const auto answered = probe(target, frozen_after);
    return {answered.has_value(), in_words(answered, frozen_after)};
}

/// Bytes that end like a head and are none.
Finding garbage(const Target& target) {
    std::size_t refused = 0;
    const auto not_http = {"hello\r\n\r\n", "\x16\x03\x01\x02\x01\r\n\r\n",
                           "POST / HTTP/1.1\r\nno colon here\r\n\r\n"};
    for (const std::string_view bytes : not_http) {
        Connection connection{target};
        connection.send(bytes);
        const auto response = connection.receive(frozen_after);
        refused += response && response->status == 400 ? 1 : 0;
    }
    const bool served = probe(target, frozen_after).has_value();
    return {refused == not_http.size() && served,
            fmt::format("refused {} of {}, next client {}", refused, not_http.size(),
                        served ? "served" : "waits")};
}

Finding noise(const Target& target) {
    constexpr std::size_t clients = 200;
    constexpr std::size_t bytes_each = 64 * 1024;
    std::mt19937 random{20'240'607};  // the same noise in each run
    std::size_t refused = 0;
    for (std::size_t i = 0; i < clients; ++i) {
        std::string bytes(bytes_each, '\0');
        std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
        Connection connection{target};
        connection.send(bytes);
        connection.finish_sending();
        const auto response = connection.receive(frozen_after);
        refused += response && response->status == 400 ? 1 : 0;
    }
    const bool served = probe(target, frozen_after).has_value();
    return {refused == clients && served, fmt::format("refused {} of {}, next client {}", refused,
                                                      clients, served ? "served" : "waits")};
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
        response = connection.receive(frozen_after);  // sending failed: perhaps there is a reason
    }
    const int status = response ? response->status : 0;
    return {status == 413 && sent < stated,
            fmt::format("{} when {} of {} KiB were sent",
                        status == 0 ? "no answer" : std::to_string(status), sent / 1024,
                        stated / 1024)};
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
    return {in_order == 2 * rounds, fmt::format("{} of {} in order", in_order, 2 * rounds)};
}

}  // namespace unfreeze
