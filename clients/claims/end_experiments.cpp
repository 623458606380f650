#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <future>
#include <list>
#include <sstream>

#include "clients/claims/experiments.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/counts.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/load.hpp"
#include "clients/probe/process.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

const Finding not_spawned{false, "this client has not started the server, so it can't end it",
                          "not tried"};

std::string lost(std::int64_t jobs) { return fmt::format("lost {}", jobs); }

std::optional<ReceivedResponse> get(const Target& target, std::string_view path) {
    Connection connection{target};
    connection.send(
        fmt::format("GET {} HTTP/1.1\r\nHost: unfreeze\r\nConnection: close\r\n\r\n", path));
    return connection.receive(frozen_after);
}

}  // namespace

/// Reads the counters again and again during a load that fills the queue. Each time they have to
/// add up, and must not exceed the events that were sent. No counter may decrease.
Finding counters_add_up(const Target& target) {
    constexpr std::size_t events = 2'000;
    Connection connection{target};
    const auto before = ask_for_counts(connection);
    if (!before) {
        return {false, "no counters", "no counts"};
    }
    auto load = std::async(std::launch::async, [&target] {
        return run_load(target, {.requests = events, .concurrency = 20, .keep_alive = true});
    });
    Counts last = *before;
    std::size_t readings = 0;
    do {
        const auto now = ask_for_counts(connection);
        if (!now) {
            return {false, "no counters during a load", "no counts"};
        }
        const bool increasing = now->received >= last.received &&
                                now->processed >= last.processed && now->dropped >= last.dropped;
        if (!now->add_up() || !increasing || now->received > before->received + events ||
            now->pending > before->pending + events) {  // a negative number wraps around
            return {false, to_text(*now), "wrong"};
        }
        last = *now;
        ++readings;
    } while (load.wait_for(0s) != std::future_status::ready);
    const LoadReport report = load.get();
    const auto after = ask_for_counts(connection);
    const std::uint64_t answered = report.accepted + report.rejected;
    const bool all = after && after->received - before->received == answered &&
                     after->dropped - before->dropped == report.rejected;
    return {all && report.accepted > 0,
            all ? fmt::format("{} readings during {} events", readings, answered)
                : fmt::format("of {} events, {} rejected, the server counted: {}", answered,
                              report.rejected, after ? to_text(*after) : "nothing"),
            all ? fmt::format("{} times", readings) : "wrong"};
}

Finding prometheus_exposition(const Target& target) {
    const auto response = get(target, "/metrics");
    std::istringstream lines{response && response->status == 200 ? response->body : ""};
    bool typed = false;
    std::size_t samples = 0;
    for (std::string line; std::getline(lines, line);) {
        typed = typed || line.starts_with("# TYPE ");
        samples += !line.empty() && line.front() != '#' ? 1 : 0;
    }
    return {typed && samples > 0,
            response ? fmt::format("{}, {} samples", response->status, samples) : "no answer",
            samples > 0 ? fmt::format("{} lines", samples) : "none"};
}

Finding browser_page(const Target& target) {
    const auto response = get(target, "/");
    const bool html = response && response->status == 200 &&
                      response->field("Content-Type").starts_with("text/html");
    return {html,
            response ? fmt::format("{}, {} bytes of {}", response->status, response->body.size(),
                                   response->field("Content-Type"))
                     : "no answer",
            html ? fmt::format("{} KiB", response->body.size() / 1024) : "none"};
}

/// Sends many events at once, and then SIGTERM as soon as they have been answered. The final
/// counters, which the server prints, have to include all of them.
Finding drain(const Target& target) {
    constexpr std::size_t events = 60;
    constexpr auto patience = 30s;
    if (target.process == nullptr) {
        return not_spawned;
    }
    std::optional<Counts> before;
    {
        wait_until_idle(target, patience);
        Connection connection{target};
        // A job is counted a moment after it changes the balance.
        const auto give_up = steady_clock::now() + patience;
        do {
            before = ask_for_counts(connection);
        } while (before && before->pending > 0 && steady_clock::now() < give_up);
    }
    const Account account{target};
    std::list<Connection> clients;
    while (clients.size() < events) {
        clients.emplace_back(target).send(post(account.event(1), "Connection: close\r\n"));
    }
    std::uint64_t accepted = 0;
    const auto enough = steady_clock::now() + 1s;  // for a server that responds after the work
    for (Connection& client : clients) {
        const auto left = std::chrono::duration_cast<milliseconds>(enough - steady_clock::now());
        const auto response = client.receive(std::max(left, 0ms));
        accepted += response && response->status / 100 == 2 ? 1 : 0;
    }
    const auto done = account.balance();
    const auto start = steady_clock::now();
    kill(target.process->pid(), SIGTERM);
    const bool ended = target.process->wait_for_end(patience);
    const std::chrono::duration<double> took = steady_clock::now() - start;
    const std::string end =
        ended ? fmt::format("the server exited {:.2f} s later", took.count())
              : fmt::format("the server was still running {} s later", patience.count());
    const auto after = final_counts(*target.process);
    if (!after || !before) {
        return {false,
                fmt::format("{} of {} accepted jobs done at the signal; {}, without final counters",
                            done.value_or(0), accepted, end),
                !done ? "no state"
                : *done < static_cast<std::int64_t>(accepted)
                    ? lost(static_cast<std::int64_t>(accepted) - *done)
                    : "no counts"};
    }
    const std::uint64_t processed = after->processed - before->processed;
    return {ended && accepted > 0 && processed == accepted && after->pending == 0 &&
                target.process->exit_status() == 0,
            fmt::format("{} of {} accepted jobs done, {} of them after the signal; {}", processed,
                        accepted, static_cast<std::int64_t>(processed) - done.value_or(0), end),
            lost(static_cast<std::int64_t>(accepted - processed))};
}

/// The server gets the first half before the signal and the second half after it.
Finding partial_request(const Target& target) {
    if (target.process == nullptr) {
        return not_spawned;
    }
    const std::string request = post(event_body(0));
    Connection half{target};
    half.send(request.substr(0, request.size() / 2));
    get(target, "/nowhere");  // after its response, a concurrent server has read the half
    kill(target.process->pid(), SIGTERM);
    target.process->wait_for_end(100ms);
    half.send(request.substr(request.size() / 2));
    const auto response = half.receive(frozen_after);
    const int status = status_of(response);
    const bool ended = target.process->wait_for_end(5s);
    return {status != 0 && ended,
            status == 0 ? "no answer"
                        : fmt::format("{}, and the server {}", status,
                                      ended ? "exited" : "was still running 5 s later"),
            summarize(status)};
}

}  // namespace unfreeze
