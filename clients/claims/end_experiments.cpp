#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <future>
#include <list>
#include <thread>

#include "clients/claims/exchange.hpp"
#include "clients/claims/experiments.hpp"
#include "clients/claims/exposition.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/counts.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/json_members.hpp"
#include "clients/probe/listening.hpp"
#include "clients/probe/load.hpp"
#include "clients/probe/process.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

const Finding not_spawned{.figure = "this client has not started the server, so it can't end it",
                          .summary = "not tried",
                          .test = Finding::Test::unknown};

const std::string counts_query = post(R"({"type":"metrics"})");
constexpr std::string_view counts_expected =
    R"(200 and {"received":N,"processed":N,"dropped":N,"pending":N}, within 5 s)";

std::string lost(std::int64_t jobs) { return fmt::format("lost {}", jobs); }

Finding no_counts(const Target& target, std::string figure) {
    Cases cases;
    cases.add(false, counts_query, counts_expected, ask(target, counts_query, 5s));
    return {.figure = std::move(figure),
            .summary = "no counts",
            .test = Finding::Test::impossible,
            .failures = cases.failures()};
}

/// The counters once nothing is pending: a job is counted a moment after it changes the balance.
std::optional<Counts> idle_counts(const Target& target, milliseconds timeout) {
    Connection connection{target};
    const auto give_up = steady_clock::now() + timeout;
    std::optional<Counts> counts = ask_for_counts(connection);
    while (counts && counts->pending != 0 && steady_clock::now() < give_up) {
        std::this_thread::sleep_for(1ms);  // counters can only be polled
        counts = ask_for_counts(connection);
    }
    return counts;
}

/// The process that listens, which a signal has to reach. The command may have started it through
/// a shell or another wrapper.
std::optional<pid_t> server_pid(const Target& target) {
    const auto sockets = listening_sockets(target.process->pid());
    const auto exact = std::find_if(sockets.begin(), sockets.end(),
                                    [&](const auto& socket) { return socket.port == target.port; });
    if (exact != sockets.end()) {
        return exact->pid;
    }
    // Behind a proxy, the server has another port.
    return sockets.empty() ? std::nullopt : std::optional{sockets.front().pid};
}

Finding no_server_pid(const Target& target) {
    return unknown(
        fmt::format("can't tell which process listens on port {}, so SIGTERM may not reach the "
                    "server; let the command start it on this machine, as a child",
                    target.port));
}

/// Whether a process has exited. It may be a zombie until its parent asks for its status.
bool has_exited(pid_t pid) {
    std::ifstream stat{fmt::format("/proc/{}/stat", pid)};
    std::string line;
    return !std::getline(stat, line) || line.find(") Z ") != std::string::npos;
}

}  // namespace

/// Reads the counters again and again during a load that fills the queue. Each time they have to
/// add up, and must not exceed the events that were sent. No counter may decrease. At the end they
/// agree with the responses.
Finding counters_add_up(const Target& target) {
    constexpr std::size_t events = 2'000;
    Connection connection{target};
    const auto before = ask_for_counts(connection);
    if (!before) {
        return no_counts(target, "no counters");
    }
    auto load = std::async(std::launch::async, [&target] {
        return run_load(target, {.requests = events, .concurrency = 20, .keep_alive = true});
    });
    Counts last = *before;
    std::size_t readings = 0;
    Cases cases;
    do {
        const auto now = ask_for_counts(connection);
        if (!now) {
            return no_counts(target, "no counters during a load");
        }
        const bool increasing = now->received >= last.received &&
                                now->processed >= last.processed && now->dropped >= last.dropped;
        if (!now->add_up() || !increasing || now->received > before->received + events ||
            now->pending > before->pending + events) {  // a negative number wraps around
            cases.add(false, counts_query,
                      fmt::format("received = processed + dropped + pending, none below its last "
                                  "value ({}), and at most {} events more than at first ({})",
                                  to_text(last), events, to_text(*before)),
                      to_text(*now));
            return {.figure = to_text(*now), .summary = "wrong", .failures = cases.failures()};
        }
        last = *now;
        ++readings;
    } while (load.wait_for(0s) != std::future_status::ready);
    const LoadReport report = load.get();
    const auto after = idle_counts(target, 30s);
    const std::uint64_t answered = report.accepted + report.rejected;
    const std::uint64_t accepted = report.accepted + before->pending;
    const bool all = after && report.errors_in_all() == 0 &&
                     after->received - before->received == answered &&
                     after->dropped - before->dropped == report.rejected &&
                     after->processed - before->processed == accepted;
    cases.add(
        all, fmt::format("{} events, 20 at a time; then, once all work is done, the query", events),
        fmt::format("the counters of before ({}), with {} more received, {} processed and {} "
                    "dropped, as the responses say; no other responses",
                    to_text(*before), answered, accepted, report.rejected),
        fmt::format("{}{}", after ? to_text(*after) : "no counters",
                    report.errors_in_all() == 0
                        ? ""
                        : fmt::format(", and {} responses that are neither 2xx nor 503",
                                      report.errors_in_all())));
    return {
        .holds = all && report.accepted > 0,
        .figure = all ? fmt::format("{} readings during {} events", readings, answered)
                      : fmt::format("of {} events, {} rejected, the server counted: {}", answered,
                                    report.rejected, after ? to_text(*after) : "nothing"),
        .summary = all ? fmt::format("{} times", readings) : "wrong",
        .failures = cases.failures()};
}

/// If the server also answers a query for its counters, both must agree while it is idle.
Finding prometheus_exposition(const Target& target) {
    const std::string request = get("/metrics", "Connection: close\r\n");
    for (int i = 0; i < 3; ++i) {
        static_cast<void>(ask(target, post(event_body(0))));  // so that not all counters are zero
    }
    const auto counts = idle_counts(target, 30s);
    const Reply reply = ask(target, request);
    Cases cases;
    cases.add(reply.status() == 200, request,
              fmt::format("200, within {} ms", frozen_after.count()), reply);
    std::size_t samples = 0;
    if (reply.status() == 200) {
        const Exposition exposition = parse_exposition(reply.response->body);
        samples = exposition.samples.size();
        const std::string type{reply.response->field("Content-Type")};
        cases.add(
            type.starts_with("text/plain") || type.starts_with("application/openmetrics-text"),
            request, "Content-Type: text/plain; version=0.0.4", "Content-Type: " + type);
        cases.add(exposition.fault.empty() && exposition.types > 0 && samples > 0, request,
                  "the text format of Prometheus: '# TYPE name counter' and 'name value' lines",
                  exposition.fault.empty()
                      ? fmt::format("{} samples, {} of them with a type", samples, exposition.types)
                      : exposition.fault);
        if (counts) {
            const std::array<std::pair<std::string_view, std::uint64_t>, 4> all{
                {{"received", counts->received},
                 {"processed", counts->processed},
                 {"dropped", counts->dropped},
                 {"pending", counts->pending}}};
            for (const auto& [name, value] : all) {
                cases.add(exposition.has(name, static_cast<double>(value)), request,
                          fmt::format("a sample with '{}' in its name or labels and the value {}, "
                                      "as {{\"type\":\"metrics\"}} says",
                                      name, value),
                          exposition.lines_about(name));
            }
        }
    }
    return {.holds = cases.all_passed(),
            .figure = reply.response ? fmt::format("{}, {} samples{}", reply.status(), samples,
                                                   cases.all_passed() || reply.status() != 200
                                                       ? ""
                                                       : ": " + cases.failures().front().got)
                                     : "no answer",
            .summary = samples > 0 ? fmt::format("{} lines", samples) : "none",
            .failures = cases.failures()};
}

Finding browser_page(const Target& target) {
    const std::string request = get("/", "Connection: close\r\n");
    const Reply reply = ask(target, request);
    const bool html =
        reply.status() == 200 && reply.response->field("Content-Type").starts_with("text/html");
    Cases cases;
    cases.add(html, request,
              fmt::format("200 with Content-Type: text/html, within {} ms", frozen_after.count()),
              reply);
    return {.holds = html,
            .figure = reply.response ? fmt::format("{}, {} bytes of {}", reply.status(),
                                                   reply.response->body.size(),
                                                   reply.response->field("Content-Type"))
                                     : "no answer",
            .summary = html ? fmt::format("{} KiB", reply.response->body.size() / 1024) : "none",
            .failures = cases.failures()};
}

namespace {

/// What clients and the server's parent saw of a drain.
struct Drain {
    std::uint64_t accepted_before = 0;  // 2xx until the signal
    std::uint64_t accepted_after = 0;   // 2xx to requests that the signal interrupted
    std::uint64_t accepted_late = 0;    // 2xx to events sent later than `grace`
    std::optional<std::int64_t> done;   // the balance at the signal
    std::optional<Counts> counts;       // the last line
    bool ended = false;                 // all processes of the command
    bool left = false;                  // the server, although its wrapper still runs
    std::chrono::duration<double> took{0};
    std::optional<int> exit_status;

    // The last balance that the server answered after the signal, and the time from then on.
    std::optional<std::int64_t> last_balance;
    std::chrono::duration<double> after_balance{0};

    std::uint64_t accepted() const { return accepted_before + accepted_after + accepted_late; }
};

constexpr auto drain_patience = 30s;
constexpr auto grace = 100ms;             // for a server to notice the signal
constexpr std::uint64_t late_enough = 5;  // events, to know that a server does not stop accepting

/// A balance, or nothing if the server does not answer this query at once.
std::optional<std::int64_t> balance_once(const Target& target, const Account& account) {
    const Reply reply = ask(target, Account::query(account.user(), "Connection: close\r\n"), 200ms);
    const auto members = JsonMembers::parse(reply.status() == 200 ? reply.response->body : "");
    return members ? members->integer("balance") : std::nullopt;
}

/// Sends the events at once and then SIGTERM, while four more requests are half sent. Completes
/// these, and offers further events until the server has exited.
Drain observe_drain(const Target& target, pid_t server, std::size_t events) {
    Drain drain;
    const Account account{target};
    std::list<Connection> clients;
    while (clients.size() < events) {
        clients.emplace_back(target).send(post(account.event(1), "Connection: close\r\n"));
    }
    const std::string late_event = post(account.event(1));
    std::list<Connection> halves;
    while (halves.size() < 4) {
        halves.emplace_back(target).send(late_event.substr(0, late_event.size() / 2));
    }
    const auto enough = steady_clock::now() + 1s;  // for a server that responds after the work
    for (Connection& client : clients) {
        const auto left = std::chrono::duration_cast<milliseconds>(enough - steady_clock::now());
        const auto response = client.receive(std::max(left, 0ms));
        drain.accepted_before += response && response->status / 100 == 2 ? 1 : 0;
    }
    clients.clear();  // otherwise the server may wait for them to close
    drain.done = account.balance();
    const auto start = steady_clock::now();
    kill(server, SIGTERM);
    target.process->wait_for_end(grace / 4);  // the server has noticed the signal
    const auto rest_of = [&](Connection& half) {
        half.send(late_event.substr(late_event.size() / 2), 100ms);
    };
    std::for_each(halves.begin(), halves.end(), rest_of);
    for (Connection& half : halves) {
        const auto response = half.receive(grace);
        drain.accepted_after += response && response->status / 100 == 2 ? 1 : 0;
    }
    halves.clear();
    steady_clock::time_point asked_at = start;
    steady_clock::time_point left_at = steady_clock::time_point::max();
    const auto running = [&] {
        const auto now = steady_clock::now();
        left_at = left_at == steady_clock::time_point::max() && has_exited(server) ? now : left_at;
        return !target.process->ended() && now < start + drain_patience &&
               (left_at == steady_clock::time_point::max() || now < left_at + 1s);
    };
    while (running()) {
        const bool late = steady_clock::now() >= start + grace;
        if (left_at == steady_clock::time_point::max() && drain.accepted_late < late_enough) {
            Connection connection{target};
            connection.send(late_event, 100ms);
            const auto response = connection.receive(500ms);
            (late ? drain.accepted_late : drain.accepted_after) +=
                response && response->status / 100 == 2 ? 1 : 0;
            const auto now = steady_clock::now();
            if (const auto balance = balance_once(target, account)) {
                drain.last_balance = balance;
                asked_at = now;
            }
        }
        target.process->wait_for_end(20ms);
    }
    drain.ended = target.process->ended();
    drain.left = has_exited(server);
    const auto end = std::min(steady_clock::now(), left_at);
    drain.took = end - start;
    drain.after_balance = end - asked_at;
    drain.counts = final_counts(*target.process);
    drain.exit_status = target.process->exit_status();
    return drain;
}

}  // namespace

/// Sends many events at once, and then SIGTERM as soon as they have been answered. The final
/// counters, which the server prints, have to include all of them. Because the server may lie, the
/// drain must also have taken the time that the work takes: it is measured before with the same
/// events.
Finding drain(const Target& target) {
    std::size_t events = 60;
    if (target.process == nullptr) {
        return not_spawned;
    }
    const std::optional<pid_t> server = server_pid(target);
    if (!server) {
        return no_server_pid(target);
    }
    wait_until_idle(target, drain_patience);
    std::optional<Counts> before = idle_counts(target, drain_patience);
    double rate = 0;  // jobs a second
    if (before) {
        // A drain that is too short shows nothing, so fast work gets more events.
        constexpr std::chrono::duration<double> long_enough{0.25};
        const Burst burst = run_burst(target, {.events = events, .timeout = drain_patience});
        rate = static_cast<double>(burst.accepted) / burst.took.count();
        if (burst.done && burst.took < long_enough) {
            events =
                std::min<std::size_t>(400, static_cast<std::size_t>(static_cast<double>(events) *
                                                                    2 * long_enough / burst.took));
        }
        before = idle_counts(target, drain_patience);
    }
    const Drain drain = observe_drain(target, *server, events);

    const auto accepted = static_cast<std::int64_t>(drain.accepted());
    const std::int64_t done = drain.done.value_or(0);
    const std::string end =
        drain.ended || drain.left
            ? fmt::format("the server exited {:.2f} s later", drain.took.count())
            : fmt::format("the server was still running {} s later", drain_patience.count());
    const std::string sent = fmt::format(
        "{} events at once, and SIGTERM to process {} after the last response", events, *server);
    Cases cases;
    if (!drain.counts || !before) {
        cases.add(false, sent,
                  "as the last line on standard output: received=N processed=N dropped=N pending=N",
                  target.process->output().empty() ? "no output" : "no such line");
        return {.figure = fmt::format("{} of {} accepted jobs done at the signal; {}, without "
                                      "final counters",
                                      done, accepted, end),
                .summary = !drain.done       ? "no state"
                           : done < accepted ? lost(accepted - done)
                                             : "no counts",
                .failures = cases.failures()};
    }
    const auto processed = static_cast<std::int64_t>(drain.counts->processed - before->processed);
    const auto undone = static_cast<double>(
        std::max<std::int64_t>(static_cast<std::int64_t>(drain.accepted_before) - done, 0));
    const double needed = rate > 0 ? undone / rate : 0;
    cases.add(drain.ended || drain.left, sent,
              fmt::format("the server exits within {} s", drain_patience.count()), end);
    cases.add(accepted > 0 && processed == accepted && drain.counts->pending == 0, sent,
              fmt::format("a last line in which processed is {}, for {} accepted events, and "
                          "pending is 0",
                          before->processed + static_cast<std::uint64_t>(accepted), accepted),
              fmt::format("{}{}", to_text(*drain.counts),
                          drain.accepted_after + drain.accepted_late == 0
                              ? ""
                              : fmt::format("; {} events were accepted after SIGTERM",
                                            drain.accepted_after + drain.accepted_late)));
    cases.add(drain.took.count() >= needed / 2, sent,
              fmt::format("{:.0f} jobs were left, which take {:.2f} s at {:.0f} a second, as "
                          "measured before",
                          undone, needed, rate),
              end + ", so they can't have been done");
    if (drain.last_balance && rate > 0) {
        const double left = static_cast<double>(accepted - *drain.last_balance) / rate;
        cases.add(left < 0.1 || drain.after_balance.count() >= left / 2, sent,
                  fmt::format("of {} accepted events, the last balance included {}; the others "
                              "take {:.2f} s at {:.0f} a second",
                              accepted, *drain.last_balance, left, rate),
                  fmt::format("the server exited {:.2f} s after that balance, so they can't have "
                              "been done",
                              drain.after_balance.count()));
    }
    cases.add_timed(
        drain.accepted_late == 0, sent,
        fmt::format("events sent {} ms or more after SIGTERM are not accepted: 503, or no "
                    "connection",
                    grace.count()),
        fmt::format("{} were answered 200 or 202", drain.accepted_late));
    cases.add(!drain.ended || drain.exit_status == 0, sent, "exit status 0",
              fmt::format("exit status {}", drain.exit_status.value_or(0)));
    const bool lies = drain.took.count() < needed / 2;
    const std::string figure =
        fmt::format("{} of {} accepted jobs done, {} of them after the signal; {}{}", processed,
                    accepted, processed - done, end,
                    !lies && drain.exit_status.value_or(0) != 0
                        ? fmt::format(" with exit status {}", *drain.exit_status)
                        : "");
    if (cases.all_passed() && !drain.ended) {
        return unknown(
            fmt::format("{}, but the command that started it still runs, so its exit "
                        "status is not known",
                        figure));
    }
    if (cases.all_passed() && needed < 0.1) {
        return unknown(
            fmt::format("only {:.0f} jobs, or {:.0f} ms of work, were left at SIGTERM; let "
                        "the work for an event take 20 to 100 ms",
                        undone, needed * 1e3));
    }
    return {.holds = cases.all_passed(),
            .figure = figure,
            .summary = lost(accepted - processed),
            .failures = cases.failures()};
}

/// The server gets the first half before the signal and the second half after it.
Finding partial_request(const Target& target) {
    if (target.process == nullptr) {
        return not_spawned;
    }
    const std::optional<pid_t> server = server_pid(target);
    if (!server) {
        return no_server_pid(target);
    }
    const auto before = idle_counts(target, 5s);
    const std::string request = post(event_body(0));
    Connection half{target};
    half.send(request.substr(0, request.size() / 2));
    // After this response, a concurrent server has read the half.
    static_cast<void>(ask(target, get("/nowhere", "Connection: close\r\n")));
    kill(*server, SIGTERM);
    target.process->wait_for_end(100ms);
    half.send(request.substr(request.size() / 2));
    const Reply reply = reply_from(half);
    const bool left = target.process->wait_for_end(5s) || has_exited(*server);
    const std::string sent = "half of a request, SIGTERM, and 100 ms later the rest: " + request;
    Cases cases;
    cases.add(reply.response.has_value(), sent,
              fmt::format("a response, such as 202 or 503, within {} ms", frozen_after.count()),
              reply);
    cases.add(left, sent, "the server exits within 5 s", "it still runs");
    if (reply.is_2xx() && before) {
        const auto after = final_counts(*target.process);
        cases.add(after && after->processed == before->processed + 1, sent,
                  fmt::format("after {}, a last line with processed={}", reply.status(),
                              before->processed + 1),
                  after ? to_text(*after) : "no such line");
    }
    return {.holds = cases.all_passed(),
            .figure = !reply.response
                          ? "no answer"
                          : fmt::format(
                                "{}, and the server {}{}", reply.status(),
                                left ? "exited" : "was still running 5 s later",
                                cases.all_passed() || !left ? "" : ", without the accepted event"),
            .summary = summarize(reply.status()),
            .failures = cases.failures()};
}

}  // namespace unfreeze
