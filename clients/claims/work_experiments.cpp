#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <future>
#include <initializer_list>
#include <limits>
#include <list>
#include <thread>

#include "clients/claims/experiments.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/load.hpp"
#include "clients/probe/silent_connections.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Longer than ten times the slowest work that a stage does by default.
constexpr auto patience = 10s;

double in_ms(microseconds us) { return static_cast<double>(us.count()) / 1e3; }

const Finding no_balance{false, "no balance", "no state"};

/// The latency of a request that causes no work.
microseconds time_without_work(const Target& target) {
    microseconds shortest = frozen_after;
    for (int i = 0; i < 5; ++i) {
        Connection connection{target};
        const auto start = steady_clock::now();
        connection.send("GET /nowhere HTTP/1.1\r\nHost: unfreeze\r\n\r\n");
        if (connection.receive(frozen_after)) {
            shortest = std::min(
                shortest, std::chrono::duration_cast<microseconds>(steady_clock::now() - start));
        }
    }
    return shortest;
}

/// Whether these amounts, in any order, add up to this balance of one user.
Finding check_balance(const Target& target, std::initializer_list<std::int64_t> amounts,
                      std::int64_t expected) {
    Account account{target};
    for (const std::int64_t amount : amounts) {
        Connection connection{target};
        connection.send(post(account.event(amount)));
        connection.receive(patience);
    }
    const auto balance = account.wait_for(expected, 1s);
    if (!balance) {
        return no_balance;
    }
    return {balance == expected,
            balance == expected ? fmt::format("a balance of {}", expected)
                                : fmt::format("a balance of {}, not {}", *balance, expected),
            balance == expected ? "yes" : "no"};
}

}  // namespace

/// Beyond the 53 bits that a number has in JavaScript and in many JSON parsers.
Finding exact_amounts(const Target& target) {
    return check_balance(target, {9'007'199'254'740'993, -2}, 9'007'199'254'740'991);
}

Finding saturation(const Target& target) {
    constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
    return check_balance(target, {max - 1, 5}, max);
}

/// Each writer adds another power of two, so the balance shows which updates it includes.
Finding lost_update(const Target& target) {
    const auto work = time_one_event(target);
    if (!work) {
        return no_balance;
    }
    Account account{target};
    std::list<Connection> writers;
    while (writers.size() < 10) {
        const std::int64_t amount = 1 << writers.size();
        writers.emplace_back(target).send(post(account.event(amount)));
    }
    const auto deadline = steady_clock::now() + patience;
    std::int64_t accepted = 0;
    std::int64_t amount = 1;
    for (Connection& writer : writers) {
        const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
        const auto response = writer.receive(std::max(left, 0ms));
        accepted += response && response->status / 100 == 2 ? amount : 0;
        amount *= 2;
    }
    const auto balance =
        account.wait_for(accepted, std::chrono::duration_cast<milliseconds>(3 * *work + 1s));
    const auto count = [](std::int64_t sum) {
        return std::popcount(static_cast<std::uint64_t>(sum));
    };
    return {accepted > 0 && balance == accepted,
            fmt::format("{} of {} accepted updates are in the balance",
                        count(balance.value_or(0) & accepted), count(accepted)),
            fmt::format("{}/{}", count(balance.value_or(0) & accepted), count(accepted))};
}

Finding query_during_work(const Target& target) {
    const auto work = time_one_event(target);
    if (!work) {
        return no_balance;
    }
    const Account account{target};
    std::list<Connection> writers;
    while (writers.size() < 4) {
        writers.emplace_back(target).send(post(account.event(1)));
    }
    microseconds slowest{0};
    for (int i = 0; i < 5; ++i) {
        const auto start = steady_clock::now();
        if (!account.balance()) {
            return {false, "no balance in 3 s", "frozen"};
        }
        slowest = std::max(slowest,
                           std::chrono::duration_cast<microseconds>(steady_clock::now() - start));
    }
    return {
        slowest < *work,
        fmt::format("answered in {:.1f} ms during work of {:.0f} ms", in_ms(slowest), in_ms(*work)),
        summarize(slowest)};
}

/// Four at a time, so the figure also shows whether they wait for one another.
Finding slow_work_delays_response(const Target& target) {
    const microseconds without = time_without_work(target);
    const LoadReport load =
        run_load(target, {.requests = 4, .concurrency = 4, .timeout_ms = patience});
    const auto answered = [&](double fraction) { return in_ms(load.latency.quantile(fraction)); };
    const microseconds first = load.latency.quantile(0.25);
    if (load.accepted < 4) {
        return {false, fmt::format("{} of 4 answered in {} s", load.accepted, patience.count()),
                "frozen"};
    }
    return {first > 10 * without && first > 25ms,
            fmt::format("responses after {:.1f}, {:.1f}, {:.1f} and {:.1f} ms", answered(0.25),
                        answered(0.5), answered(0.75), answered(1)),
            fmt::format("{:.1f} ms", answered(1))};
}

Finding accepted_at_once(const Target& target) {
    const auto work = time_one_event(target);
    if (!work) {
        return no_balance;
    }
    const LoadReport load = run_load(target, {.requests = 3, .timeout_ms = patience});
    const microseconds answered = load.latency.max();
    return {load.accepted == 3 && answered < *work / 2,
            fmt::format("answered in {:.1f} ms, done in {:.1f} ms", in_ms(answered), in_ms(*work)),
            load.accepted == 3 ? summarize(answered) : "frozen"};
}

/// Sends many events at once, again and again until the server rejects one.
Finding overload(const Target& target) {
    constexpr std::size_t clients = 400;
    constexpr std::size_t bursts_max = 5;
    LoadReport load;
    std::size_t sent = 0;
    while (load.rejected == 0 && load.errors_in_all() == 0 && sent < bursts_max * clients) {
        load = run_load(target, {.requests = clients, .concurrency = clients, .timeout_ms = 2s});
        sent += clients;
    }
    const std::uint64_t unanswered = load.errors_in_all() + load.never_sent;
    const std::string rest =
        unanswered == 0 ? "" : fmt::format(", {} not answered in 2 s", unanswered);
    return {load.rejected > 0 && unanswered == 0 && load.rejection_latency.max() < frozen_after,
            load.rejected == 0
                ? fmt::format("rejected none of {}{}", sent, rest)
                : fmt::format("rejected {} of {}, each within {:.0f} ms{}", load.rejected, sent,
                              in_ms(load.rejection_latency.max()), rest),
            load.rejected > 0 ? summarize(load.rejection_latency.max())
            : unanswered == 0 ? "accepted all"
                              : fmt::format("{} unanswered", unanswered)};
}

/// Sends many events together, again and again until one is rejected, for three seconds at most.
Finding retry_after(const Target& target) {
    constexpr std::size_t together = 100;
    constexpr std::size_t rounds_max = 20;
    const auto enough = steady_clock::now() + 3s;
    std::string bytes;
    for (std::size_t i = 0; i < together; ++i) {
        bytes += post(event_body(i));
    }
    Connection connection{target};
    for (std::size_t i = 0; i < rounds_max * together && steady_clock::now() < enough; ++i) {
        if (i % together == 0 && !connection.send(bytes, frozen_after)) {
            break;
        }
        const auto response = connection.receive(frozen_after);
        if (!response) {
            return {false, fmt::format("no answer to event {}", i + 1), "no answer"};
        }
        if (response->status == 503) {
            const std::string after{response->field("Retry-After")};
            return {
                !after.empty(),
                after.empty() ? "a 503 without Retry-After" : fmt::format("Retry-After: {}", after),
                after.empty() ? "none" : after + " s"};
        }
    }
    return {false, "rejected none", "accepted all"};
}

/// Little's law: the jobs in progress are the throughput times the time that one job takes.
Finding parallel_jobs(const Target& target) {
    constexpr std::size_t jobs = 12;
    const auto one = time_one_event(target);
    if (!one) {
        return no_balance;
    }
    const Burst burst =  // a short queue accepts fewer
        run_burst(target, {.events = jobs, .users = jobs, .timeout = patience});
    const double at_a_time =
        static_cast<double>(burst.accepted) * std::chrono::duration<double>(*one) / burst.took;
    return {burst.done && at_a_time > 2.5,
            burst.done ? fmt::format("{:.1f} jobs at a time", at_a_time) : "not all jobs were done",
            burst.done ? fmt::format("{:.1f}x", at_a_time) : "not done"};
}

namespace {

/// Compares the time of four jobs with that of one. Without a shared lock they take as long as one.
/// If all of the work serializes, they take four times as long. If only a part runs under a shared
/// lock, the time is between the two.
Finding measure_serialization(const Target& target, std::size_t users) {
    constexpr std::size_t jobs = 4;
    // Takes the shortest times, because noise only adds to them. With 64 locks, two of four users
    // share one by chance in 9 of 100 tries, but hardly ever in all five.
    constexpr int tries = 5;
    std::chrono::duration<double, std::milli> one = 1h;
    std::chrono::duration<double, std::milli> four = 1h;
    for (int i = 0; i < tries; ++i) {
        const auto alone = time_one_event(target);
        if (!alone) {
            return no_balance;
        }
        one = std::min<decltype(one)>(one, *alone);
        const Burst burst = run_burst(target, {.events = jobs, .users = users});
        if (!burst.done || burst.accepted < static_cast<std::int64_t>(jobs)) {
            return {false, "not all jobs were done", "not done"};
        }
        four = std::min<decltype(four)>(four, burst.took);
    }
    const double ratio = four / one;
    const bool serialized = ratio > 1.15 && ratio < 3;
    const std::string cap = serialized ? fmt::format(": at most {:.0f} a second",
                                                     (jobs - 1) * 1e3 / (four - one).count())
                                       : "";
    return {serialized, fmt::format("four jobs take {:.2f} times as long as one{}", ratio, cap),
            fmt::format("{:.2f}x", ratio)};
}

}  // namespace

Finding one_lock_caps_rate(const Target& target) { return measure_serialization(target, 4); }

Finding one_user_serializes(const Target& target) { return measure_serialization(target, 1); }

/// The share of the time that a client waits for a balance that it queries every 5 ms, while thirty
/// jobs of other users run.
Finding read_waits_for_lock(const Target& target) {
    constexpr std::size_t jobs = 30;
    if (!wait_until_idle(target, patience)) {
        return no_balance;
    }
    const Account mine{target};
    auto others = std::async(std::launch::async, [&] {
        return run_burst(target, {.events = jobs, .users = jobs, .timeout = patience});
    });
    const auto start = steady_clock::now();
    steady_clock::duration waited{0};
    while (others.wait_for(0s) != std::future_status::ready) {
        const auto sent = steady_clock::now();
        if (!mine.balance()) {
            return {false, "no balance in 5 s", "frozen"};
        }
        waited += steady_clock::now() - sent;
        std::this_thread::sleep_for(5ms);
    }
    const double share = std::chrono::duration<double>{waited} / (steady_clock::now() - start);
    others.get();
    return {share > 0.6, fmt::format("reads wait {:.0f} % of the time", 100 * share),
            fmt::format("{:.0f} %", 100 * share)};
}

}  // namespace unfreeze
