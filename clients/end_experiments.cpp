#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <future>
#include <list>

#include "clients/account.hpp"
#include "clients/connection.hpp"
#include "clients/experiments.hpp"
#include "clients/load.hpp"
#include "clients/process.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// What a server tells of its events.
struct Counts {
    std::uint64_t received = 0;
    std::uint64_t processed = 0;
    std::uint64_t dropped = 0;
    std::uint64_t pending = 0;
};

/// Reads the four numbers wherever they stand in a text, each behind its name and a sign or two:
/// "received":7 or received=7. Nothing where one is missing.
std::optional<Counts> find_counts(std::string_view text) {
    const auto number = [text](std::string_view name) -> std::optional<std::uint64_t> {
        const std::size_t at = text.rfind(name);
        const std::size_t digits = at == text.npos ? at : text.find_first_of("0123456789-", at);
        std::uint64_t value = 0;
        if (digits == text.npos || digits > at + name.size() + 2 ||
            std::from_chars(text.data() + digits, text.data() + text.size(), value).ec !=
                std::errc{}) {
            return std::nullopt;
        }
        return value;
    };
    const auto received = number("received");
    const auto processed = number("processed");
    const auto dropped = number("dropped");
    const auto pending = number("pending");
    if (!received || !processed || !dropped || !pending) {
        return std::nullopt;
    }
    return Counts{*received, *processed, *dropped, *pending};
}

std::optional<Counts> ask_for_counts(Connection& connection) {
    connection.send(post(R"({"type":"metrics"})"));
    const auto response = connection.receive();
    return response && response->status == 200 ? find_counts(response->body) : std::nullopt;
}

std::string to_text(const Counts& counts) {
    return fmt::format("received {}, processed {}, dropped {}, pending {}", counts.received,
                       counts.processed, counts.dropped, counts.pending);
}

}  // namespace

/// Reads the counters again and again beside a load that fills the queue: at each moment they are
/// to add up, and to what was sent. None may ever go back.
Finding adds_up(const Target& target) {
    constexpr std::size_t events = 2'000;
    Connection connection{target};
    const auto before = ask_for_counts(connection);
    if (!before) {
        return {false, "no counters are told"};
    }
    auto load = std::async(std::launch::async, [&target] {
        return run_load(target, {.requests = events, .concurrency = 20, .keep_alive = true});
    });
    Counts last = *before;
    std::size_t readings = 0;
    do {
        const auto now = ask_for_counts(connection);
        if (!now) {
            return {false, "beside a load, no counters are told"};
        }
        const bool on = now->received >= last.received && now->processed >= last.processed &&
                        now->dropped >= last.dropped;
        if (now->received != now->processed + now->dropped + now->pending || !on ||
            now->received > before->received + events ||
            now->pending > before->pending + events) {  // as it would be below zero
            return {false, to_text(*now)};
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
            all ? fmt::format("{} readings beside {} events", readings, answered)
                : fmt::format("of {} events, {} of them refused, it counted: {}", answered,
                              report.rejected, after ? to_text(*after) : "nothing")};
}

/// Sends many events at once and ends the server as soon as they have been answered. What it then
/// says is to account for all of them.
Finding drain(const Target& target) {
    constexpr std::size_t events = 60;
    constexpr auto patience = 30s;
    if (target.process == nullptr) {
        return {false, "not started here, so it can't be told to end"};
    }
    std::optional<Counts> before;
    {
        wait_until_idle(target, patience);
        Connection connection{target};
        before = ask_for_counts(connection);
    }
    const Account account{target};
    std::list<Connection> clients;
    while (clients.size() < events) {
        clients.emplace_back(target).send(post(account.event(1), "Connection: close\r\n"));
    }
    std::uint64_t accepted = 0;
    const auto enough = steady_clock::now() + 1s;  // for whoever answers behind the work
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
    const std::string end = ended ? fmt::format("it ended {:.2f} s later", took.count())
                                  : fmt::format("{} s later it had not ended", patience.count());
    target.process->wait_for_output("received=", 1s);
    const auto after = find_counts(target.process->output());
    if (!after || !before) {
        return {false,
                fmt::format("of {} accepted {} were done at the signal; {}, and gave no account",
                            accepted, done.value_or(0), end)};
    }
    const std::uint64_t processed = after->processed - before->processed;
    return {ended && accepted > 0 && processed == accepted && after->pending == 0 &&
                target.process->exit_status() == 0,
            fmt::format("{} of {} accepted were done, {} of them after the signal; {}", processed,
                        accepted, static_cast<std::int64_t>(processed) - done.value_or(0), end)};
}

}  // namespace unfreeze
