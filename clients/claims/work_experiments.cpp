#include <fmt/format.h>
#include <fmt/ranges.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <future>
#include <limits>
#include <list>
#include <map>
#include <thread>

#include "clients/claims/exchange.hpp"
#include "clients/claims/experiments.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/conversation.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/json_members.hpp"
#include "clients/probe/load.hpp"
#include "common/http/grammar.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Longer than ten times the slowest work that a stage does by default.
constexpr auto patience = 10s;

/// With less work, the time of polling a balance hides it.
constexpr auto shortest_work = 5ms;

Finding too_short(microseconds work) {
    return unknown(
        fmt::format("the work for one event takes {:.1f} ms, too short to see; let it "
                    "take 20 to 100 ms",
                    in_ms(work)));
}

/// Whether these events, in any order, add up to this balance of one user.
Finding check_balance(const Target& target, Account& account,
                      const std::vector<std::string>& events, std::int64_t expected) {
    if (!account.balance()) {
        return no_balance(target, account.user());
    }
    Cases cases;
    for (const std::string& event : events) {
        const std::string request = post(event);
        const Reply reply = ask(target, request, patience);
        cases.add(reply.is_2xx(), request, fmt::format("200 or 202, within {} s", patience.count()),
                  reply);
    }
    account.wait_for(expected, 1s);
    const std::string query = Account::query(account.user());
    const Reply reply = ask(target, query, patience);
    const auto members = JsonMembers::parse(reply.response ? reply.response->body : "");
    const auto balance = members ? members->integer("balance") : std::nullopt;
    const bool same_balance = balance && *balance == expected;
    const bool same_user = members && members->string("user").value_or("") == account.user();
    cases.add(same_balance && same_user, query,
              fmt::format(R"(200 and {{"user":"{}","balance":{}}} as JSON, within {} s)",
                          escaped(account.user()), expected, patience.count()),
              reply);
    const bool holds = cases.all_passed();
    return {.holds = holds,
            .figure = !balance ? "no balance"
                      : !same_balance
                          ? fmt::format("a balance of {}, not {}", balance.value_or(0), expected)
                      : !same_user ? "the balance of another user"
                                   : fmt::format("a balance of {}", expected),
            .summary = holds ? "yes" : "no",
            .failures = cases.failures()};
}

/// Replaces each occurrence of a part of a text.
std::string with(std::string text, std::string_view part, std::string_view instead) {
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
        text.replace(at, part.size(), instead);
        at += instead.size();
    }
    return text;
}

}  // namespace

/// Beyond the 53 bits that a number has in JavaScript and in many JSON parsers. The user's name has
/// characters that JSON escapes, and others of two and four bytes, once as they are and once as
/// escapes.
Finding exact_amounts(const Target& target) {
    Account account{target, "-\"\\\t\u00e4\U0001F600"};
    const std::string escapes =
        with(with(account.event(-2), "\u00e4", "\\u00e4"), "\U0001F600", "\\ud83d\\ude00");
    return check_balance(target, account, {account.event(9'007'199'254'740'993), escapes},
                         9'007'199'254'740'991);
}

Finding saturation(const Target& target) {
    constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
    Account account{target};
    return check_balance(target, account, {account.event(max - 1), account.event(5)}, max);
}

/// Each writer adds another power of two, so the balance shows which updates it includes.
Finding lost_update(const Target& target) {
    const auto work = time_one_event(target);
    if (!work) {
        return no_balance(target);
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
    Cases cases;
    cases.add(accepted > 0 && balance == accepted,
              "10 events of one user at once, with the amounts 1, 2, 4 to 512",
              fmt::format("a balance of {}, the sum of those that were accepted", accepted),
              balance ? fmt::format("a balance of {}", *balance) : "no balance");
    return {.holds = cases.all_passed(),
            .figure = fmt::format("{} of {} accepted updates are in the balance",
                                  count(balance.value_or(0) & accepted), count(accepted)),
            .summary = fmt::format("{}/{}", count(balance.value_or(0) & accepted), count(accepted)),
            .failures = cases.failures()};
}

Finding query_during_work(const Target& target) {
    const auto work = time_one_event(target);
    if (!work) {
        return no_balance(target);
    }
    if (*work < shortest_work) {
        return too_short(*work);
    }
    const Account account{target};
    std::list<Connection> writers;
    while (writers.size() < 4) {
        writers.emplace_back(target).send(post(account.event(1)));
    }
    microseconds slowest{0};
    Cases cases;
    for (int i = 0; i < 5; ++i) {
        const auto start = steady_clock::now();
        const bool answered = account.balance().has_value();
        const auto took = std::chrono::duration_cast<microseconds>(steady_clock::now() - start);
        slowest = std::max(slowest, took);
        cases.add_timed(
            answered && took < *work, Account::query(account.user()),
            fmt::format("a balance within {:.1f} ms, the time of the work of one event, "
                        "beside the work of four",
                        in_ms(*work)),
            answered ? fmt::format("a balance after {:.1f} ms", in_ms(took)) : "no balance in 3 s");
        if (!answered) {
            return {
                .figure = "no balance in 3 s", .summary = "frozen", .failures = cases.failures()};
        }
    }
    return {.holds = slowest < *work,
            .figure = fmt::format("answered in {:.1f} ms during work of {:.0f} ms", in_ms(slowest),
                                  in_ms(*work)),
            .summary = summarize(slowest),
            .failures = cases.failures()};
}

/// Four at a time, so the figure also shows whether they wait for one another.
Finding slow_work_delays_response(const Target& target) {
    const auto work = time_one_event(target);
    if (work && *work < shortest_work) {
        return too_short(*work);
    }
    const LoadReport load =
        run_load(target, {.requests = 4, .concurrency = 4, .timeout_ms = patience});
    const auto answered = [&](double fraction) { return in_ms(load.latency.quantile(fraction)); };
    const microseconds first = load.latency.quantile(0.25);
    if (load.accepted < 4) {
        return {.figure = fmt::format("{} of 4 answered in {} s", load.accepted, patience.count()),
                .summary = "frozen",
                .test = Finding::Test::impossible};
    }
    Cases cases;
    cases.add_timed(
        work && first <= *work / 2, post(event_body(0)),
        work ? fmt::format("of four at once, the first response within {:.1f} ms, half the "
                           "time of the work",
                           in_ms(*work / 2))
             : "a balance, to measure the work with",
        fmt::format("the first response after {:.1f} ms", answered(0.25)));
    return {.holds = work && first > *work / 2,
            .figure = fmt::format("responses after {:.1f}, {:.1f}, {:.1f} and {:.1f} ms",
                                  answered(0.25), answered(0.5), answered(0.75), answered(1)),
            .summary = fmt::format("{:.1f} ms", answered(1)),
            .test = work ? Finding::Test::done : Finding::Test::impossible,
            .failures = cases.failures()};
}

Finding accepted_at_once(const Target& target) {
    const auto work = time_one_event(target);
    if (!work) {
        return no_balance(target);
    }
    if (*work < shortest_work) {
        return too_short(*work);
    }
    LoadReport load;
    microseconds answered = patience;
    for (int i = 0; i < 3 && answered >= *work / 2; ++i) {  // a busy machine only adds to the time
        load = run_load(target, {.requests = 3, .timeout_ms = patience});
        answered = load.latency.max();
    }
    Cases cases;
    cases.add_timed(
        load.accepted == 3 && answered < *work / 2, post(event_body(0)),
        fmt::format("three times 200 or 202, each within {:.1f} ms, half the time of the "
                    "work",
                    in_ms(*work / 2)),
        fmt::format("{} accepted, the slowest after {:.1f} ms", load.accepted, in_ms(answered)));
    return {.holds = cases.all_passed(),
            .figure = fmt::format("answered in {:.1f} ms, done in {:.1f} ms", in_ms(answered),
                                  in_ms(*work)),
            .summary = load.accepted == 3 ? summarize(answered) : "frozen",
            .failures = cases.failures()};
}

namespace {

/// What came of a load: "104 answered 202, 296 answered 429, 2 late (no response in 2 s)".
std::string in_words(const LoadReport& load, const std::map<int, std::size_t>& statuses,
                     milliseconds timeout) {
    std::vector<std::string> parts;
    for (const auto& [status, count] : statuses) {
        parts.push_back(fmt::format("{} answered {}", count, status));
    }
    const auto add = [&](LoadError error, const std::string& name) {
        const std::uint64_t count = load.errors.at(static_cast<std::size_t>(error));
        if (count > 0) {
            parts.push_back(fmt::format("{} {}", count, name));
        }
    };
    add(LoadError::connect, "refused to connect");
    add(LoadError::timeout, fmt::format("late (no response in {} s)", timeout / 1s));
    add(LoadError::closed, "closed or reset before a response");
    add(LoadError::malformed, "malformed");
    if (load.never_sent > 0) {
        parts.push_back(fmt::format("{} not sent, because none was answered", load.never_sent));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

/// Compares the events that an idle server accepts at once with the capacity of its queue. It may
/// also accept as many as its workers take from the queue meanwhile.
Finding check_capacity(const Target& target) {
    constexpr std::size_t users = 40;
    const std::size_t capacity = target.queue_capacity;
    const auto work = time_one_event(target);
    if (!work) {
        return no_balance(target);
    }
    const Burst burst = run_burst(target, {.events = 64, .users = 64, .timeout = patience});
    const double at_a_time =
        static_cast<double>(burst.accepted) * std::chrono::duration<double>(*work) / burst.took;
    const auto workers = static_cast<std::uint64_t>(at_a_time * 1.25 + 2);
    if (!burst.done || !wait_until_idle(target, patience)) {
        return no_balance(target);
    }
    Account account{target, users};
    const std::size_t clients = std::max<std::size_t>(400, capacity + capacity / 2 + 100);
    const LoadReport load =
        run_load(target, {.requests = clients,
                          .concurrency = std::min<std::size_t>(clients, 400),
                          .timeout_ms = 2s,
                          .body = [&](std::size_t n) { return account.event(1, n); }});
    const auto done = static_cast<std::uint64_t>(account.balance().value_or(0));
    const std::uint64_t most = capacity + workers + done;
    Cases cases;
    cases.add(load.accepted >= capacity && load.accepted <= most,
              fmt::format("{} events at once to an idle server", clients),
              fmt::format("{} to {} accepted: a queue of {}, up to {} jobs in progress, {} done",
                          capacity, most, capacity, workers, done),
              fmt::format("{} accepted", load.accepted));
    return {.holds = cases.all_passed(),
            .figure = fmt::format("accepted {} with a queue of {}", load.accepted, capacity),
            .summary = std::to_string(load.accepted),
            .failures = cases.failures()};
}

/// A shell command that sends as many events at once, and counts these parts of the responses.
std::string many_by_hand(std::size_t events, std::string_view parts) {
    return fmt::format(
        "curl -sZ --parallel-max 300 -o /dev/null -w '{}\\n' -d '{}' "
        "\"http://127.0.0.1:$PORT/#[1-{}]\" 2>/dev/null | sort | uniq -c",
        parts, event_body(0), events);
}

/// Whether a client understands it: a number of seconds, or a date (RFC 9110 10.2.3).
bool is_retry_after(const std::string& value) {
    tm date{};
    const char* const end = strptime(value.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
    return parse_length(value) >= 0 || (end != nullptr && *end == '\0');
}

}  // namespace

/// Sends many events at once, again and again until the server rejects one.
Finding overload(const Target& target) {
    constexpr std::size_t clients = 400;
    constexpr std::size_t bursts_max = 5;
    constexpr auto timeout = 2s;
    LoadReport load;
    std::map<int, std::size_t> statuses;
    std::size_t sent = 0;
    while (load.rejected == 0 && load.errors_in_all() == 0 && sent < bursts_max * clients) {
        statuses.clear();
        load = run_load(target,
                        {.requests = clients,
                         .concurrency = clients,
                         .timeout_ms = timeout,
                         .answered = [&](const LoadAnswer& answer) { ++statuses[answer.status]; }});
        sent += clients;
    }
    const std::uint64_t other = load.errors.at(static_cast<std::size_t>(LoadError::status));
    const std::uint64_t unanswered = load.errors_in_all() - other + load.never_sent;
    std::string rest = unanswered == 0 ? "" : fmt::format(", {} not answered in 2 s", unanswered);
    if (other > 0) {
        const auto first = std::find_if(statuses.begin(), statuses.end(), [](const auto& entry) {
            return entry.first / 100 != 2 && entry.first != 503;
        });
        rest += fmt::format(", {} answered {}, expected 503", first->second, first->first);
    }
    const bool at_once = load.rejection_latency.max() < frozen_after;
    Cases cases;
    cases.add(load.rejected > 0 && unanswered == 0 && other == 0 && at_once,
              fmt::format("{} events at once, each on its own connection{}", clients,
                          sent > clients ? fmt::format(", {} times", sent / clients) : ""),
              fmt::format("each is answered 200 or 202, or 503 within {} ms; some are rejected",
                          frozen_after.count()),
              in_words(load, statuses, timeout) +
                  (at_once ? ""
                           : fmt::format(", the slowest 503 after {:.0f} ms",
                                         in_ms(load.rejection_latency.max()))));
    cases.repeat_with(many_by_hand(clients, "%{http_code}"));
    if (cases.all_passed() && target.queue_capacity > 0) {
        return check_capacity(target);
    }
    return {.holds = cases.all_passed(),
            .figure = load.rejected == 0
                          ? fmt::format("rejected none of {}{}", sent, rest)
                          : fmt::format("rejected {} of {}, each within {:.0f} ms{}", load.rejected,
                                        sent, in_ms(load.rejection_latency.max()), rest),
            .summary = load.rejected > 0 ? summarize(load.rejection_latency.max())
                       : other > 0       ? "other status"
                       : unanswered == 0 ? "accepted all"
                                         : fmt::format("{} unanswered", unanswered),
            .failures = cases.failures()};
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
    const auto failing = [&](std::size_t sent, std::string got) {
        Cases cases;
        cases.add(false, fmt::format("{} events on one connection, 100 in one send", sent),
                  "200 or 202 for each, until a 503 with Retry-After, in seconds or as an HTTP "
                  "date",
                  got);
        cases.repeat_with(many_by_hand(400, "%{http_code} %header{retry-after}"));
        return cases.failures();
    };
    Connection connection{target};
    for (std::size_t i = 0; i < rounds_max * together && steady_clock::now() < enough; ++i) {
        if (i % together == 0 && !connection.send(bytes, frozen_after)) {
            break;
        }
        const Reply reply = reply_from(connection);
        if (!reply.response) {
            return {.figure = fmt::format("no answer to event {}", i + 1),
                    .summary = "no answer",
                    .failures = failing(i + 1, to_text(reply))};
        }
        if (reply.status() == 503) {
            const std::string after{reply.response->field("Retry-After")};
            const bool good = is_retry_after(after);
            return {.holds = good,
                    .figure = after.empty() ? "a 503 without Retry-After"
                                            : fmt::format("Retry-After: {}", after),
                    .summary = after.empty() ? "none"
                               : good        ? after + " s"
                                             : after,
                    .failures =
                        good ? std::vector<Failure>{}
                             : failing(i + 1, after.empty() ? "a 503 without Retry-After"
                                                            : "a 503 with Retry-After: " + after)};
        }
        if (!reply.is_2xx()) {
            return {.figure = fmt::format("event {} was answered {}, expected 503", i + 1,
                                          reply.status()),
                    .summary = summarize(reply.status()),
                    .failures = failing(i + 1, to_text(reply))};
        }
    }
    return {.figure = "rejected none",
            .summary = "accepted all",
            .failures = failing(rounds_max * together, "no 503")};
}

/// Little's law: the jobs in progress are the throughput times the time that one job takes.
Finding parallel_jobs(const Target& target) {
    constexpr std::size_t jobs = 12;
    const auto one = time_one_event(target);
    if (!one) {
        return no_balance(target);
    }
    if (*one < shortest_work) {
        return too_short(*one);
    }
    const Burst burst =  // a short queue accepts fewer
        run_burst(target, {.events = jobs, .users = jobs, .timeout = patience});
    const double at_a_time =
        static_cast<double>(burst.accepted) * std::chrono::duration<double>(*one) / burst.took;
    Cases cases;
    cases.add_timed(burst.done && at_a_time > 2.5,
                    fmt::format("{} events of {} users at once", jobs, jobs),
                    fmt::format("all accepted ones done at more than 2.5 at a time, each {:.0f} ms",
                                in_ms(*one)),
                    burst.done ? fmt::format("{} accepted and done in {:.0f} ms: {:.1f} at a time",
                                             burst.accepted, in_ms(burst.took), at_a_time)
                               : fmt::format("not all of {} accepted were done", burst.accepted));
    return {.holds = cases.all_passed(),
            .figure = burst.done ? fmt::format("{:.1f} jobs at a time", at_a_time)
                                 : "not all jobs were done",
            .summary = burst.done ? fmt::format("{:.1f}x", at_a_time) : "not done",
            .failures = cases.failures()};
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
    // A busy machine may need more, if the result is not clear.
    const auto clear = [&] { return four <= 1.15 * one || four > 1.4 * one; };
    for (int i = 0; i < tries || (i < 3 * tries && !clear()); ++i) {
        const auto alone = time_one_event(target);
        if (!alone) {
            return no_balance(target);
        }
        one = std::min<decltype(one)>(one, *alone);
        const Burst burst = run_burst(target, {.events = jobs, .users = users});
        if (!burst.done || burst.accepted < static_cast<std::int64_t>(jobs)) {
            return {.figure = "not all jobs were done",
                    .summary = "not done",
                    .test = Finding::Test::impossible};
        }
        four = std::min<decltype(four)>(four, burst.took);
    }
    if (one < shortest_work) {
        return too_short(std::chrono::duration_cast<microseconds>(one));
    }
    const double ratio = four / one;
    const bool serialized = ratio > 1.15 && ratio < 3;
    const std::string cap = serialized ? fmt::format(": at most {:.0f} a second",
                                                     (jobs - 1) * 1e3 / (four - one).count())
                                       : "";
    Cases cases;
    cases.add_timed(
        ratio <= 1.15,
        fmt::format("one event, and then {} at once of {} user{}; the shortest of {} times", jobs,
                    users, users == 1 ? "" : "s", tries),
        fmt::format("four take at most 1.15 times as long as one, which takes {:.1f} ms",
                    one.count()),
        fmt::format("four take {:.1f} ms", four.count()));
    return {.holds = serialized,
            .figure = fmt::format("four jobs take {:.2f} times as long as one{}", ratio, cap),
            .summary = fmt::format("{:.2f}x", ratio),
            .test = ratio < 3 ? Finding::Test::done : Finding::Test::impossible,
            .failures = cases.failures()};
}

}  // namespace

Finding one_lock_caps_rate(const Target& target) { return measure_serialization(target, 4); }

Finding one_user_serializes(const Target& target) { return measure_serialization(target, 1); }

namespace {

/// The share of the time that a client waits for a balance that it queries every 5 ms, while these
/// jobs of other users run. A query takes a part of this time also without them, which does not
/// count. Returns nothing if the server does not answer.
std::optional<double> waiting_share(const Target& target, std::size_t jobs) {
    constexpr auto pause = 5ms;
    constexpr int idle_queries = 20;
    const Account mine{target};
    steady_clock::duration idle{0};
    for (int i = 0; i < idle_queries; ++i) {
        const auto sent = steady_clock::now();
        if (!mine.balance()) {
            return std::nullopt;
        }
        idle += (steady_clock::now() - sent) / idle_queries;
        std::this_thread::sleep_for(pause);
    }
    auto others = std::async(std::launch::async, [&] {
        return run_burst(target, {.events = jobs, .users = jobs, .timeout = patience});
    });
    const auto start = steady_clock::now();
    steady_clock::duration waited{0};
    while (others.wait_for(0s) != std::future_status::ready) {
        const auto sent = steady_clock::now();
        if (!mine.balance()) {
            return std::nullopt;
        }
        waited += std::max(steady_clock::now() - sent - idle, steady_clock::duration{0});
        std::this_thread::sleep_for(pause);
    }
    return std::chrono::duration<double>{waited} / (steady_clock::now() - start);
}

}  // namespace

/// Takes the smallest of up to three shares, because a busy machine only adds to them.
Finding read_waits_for_lock(const Target& target) {
    constexpr std::size_t jobs = 30;
    double share = 1;
    for (int i = 0; i < 3 && share > 0.6; ++i) {
        if (!wait_until_idle(target, patience)) {
            return no_balance(target);
        }
        const std::optional<double> measured = waiting_share(target, jobs);
        if (!measured) {
            return {.figure = "no balance in 5 s",
                    .summary = "frozen",
                    .test = Finding::Test::impossible};
        }
        share = std::min(share, *measured);
    }
    Cases cases;
    cases.add_timed(
        share <= 0.6, Account::query("alice"),
        fmt::format("a query every 5 ms waits for at most 60 % of the time, while {} jobs of "
                    "other users run",
                    jobs),
        fmt::format("it waits for {:.0f} % of the time", 100 * share));
    return {.holds = share > 0.6,
            .figure = fmt::format("reads wait {:.0f} % of the time", 100 * share),
            .summary = fmt::format("{:.0f} %", 100 * share),
            .failures = cases.failures()};
}

}  // namespace unfreeze
