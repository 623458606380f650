// Offers servers more events than they can process, and counts the goodput: the events that are
// done in time. The final server keeps its goodput; two servers that accept every event lose
// theirs.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "clients/measure/measurements.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/choice.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/load.hpp"
#include "clients/probe/process.hpp"
#include "clients/probe/silent_connections.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/histogram.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// An event that is done later than this after it was due is worthless.
constexpr std::chrono::milliseconds in_time{1'000};

/// How long the load runs before the measurement: a bounded queue is full by then, and an unbounded
/// one holds more events than can be done in time.
constexpr std::chrono::seconds filling{1};

constexpr auto poll_interval = 2ms;

struct GoodputOptions {
    std::chrono::milliseconds work_ms{10};
    std::size_t seconds = 3;  // to measure

    /// Events a second: each of the servers processes one at a time.
    double capacity() const { return 1e3 / static_cast<double>(work_ms.count()); }

    /// By Little's law an event that enters the full queue waits for half of the time limit.
    std::size_t queue_capacity() const {
        return static_cast<std::size_t>(in_time.count() / 2 / work_ms.count());
    }
};

/// A server to overload.
struct Overloaded {
    std::string_view name;
    std::string_view flags;  // besides --work-ms
    bool answers_when_done;  // instead of when it has accepted the event
};
constexpr std::array<Overloaded, 3> servers{
    {{"stage10_shutdown", "--workers 1 --hold-ms 0 --queue-capacity {}", false},
     {"stage04_state", "", true},
     {"stage05_variant_unbounded_queue", "", false}}};

/// The requests that were due in the measured seconds.
struct Goodput {
    LatencyHistogram accepted;  // from when the request was due to its response
    LatencyHistogram rejected;  // the same
    LatencyHistogram done;      // from when an accepted event was due to the end of its work
    double in_time_per_second = 0;

    double rejected_share() const {
        return static_cast<double>(rejected.count()) /
               static_cast<double>(accepted.count() + rejected.count());
    }
};

/// Sends `rate` events a second, each on its own connection and at its own time, so that a slow
/// server does not slow down the load. Then waits until all accepted events are done. The one
/// worker processes events in order, so the n-th accepted event is done when the balance is n.
Goodput measure_goodput(const Overloaded& overloaded, std::size_t rate,
                        const GoodputOptions& options) {
    const ServerProcess server{our_server(
        overloaded.name,
        fmt::format("--work-ms {} {}", options.work_ms.count(),
                    fmt::format(fmt::runtime(overloaded.flags), options.queue_capacity())))};
    Account account{server.target()};
    std::vector<steady_clock::time_point> done_at;  // when the n-th accepted event was seen as done
    const auto poll_balance = [&] {
        const auto balance = static_cast<std::size_t>(account.balance().value_or(0));
        done_at.resize(std::max(done_at.size(), balance), steady_clock::now());
        std::this_thread::sleep_for(poll_interval);
    };

    const std::size_t first = rate * filling.count();
    const std::size_t requests = first + rate * options.seconds;
    // Twice the time that all the work takes, so that the overload ends.
    const auto patience = 2 * requests * options.work_ms + 10s;
    std::vector<LoadAnswer> accepted;
    Goodput goodput;
    LoadOptions load{.requests = requests,
                     .concurrency = requests,
                     .rate = rate,
                     .timeout_ms = patience,
                     .body = [&](std::size_t) { return account.event(1); }};
    load.answered = [&](const LoadAnswer& answer) {
        const bool is_accepted = answer.status / 100 == 2;
        if (is_accepted) {
            accepted.push_back(answer);
        }
        if (answer.n >= first) {
            (is_accepted ? goodput.accepted : goodput.rejected).record(answer.latency);
        }
    };
    LoadReport report;
    {
        const std::jthread poller{[&](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                poll_balance();
            }
        }};
        report = run_load(server.target(), load);
    }
    if (report.accepted + report.rejected != requests) {
        throw std::runtime_error{
            fmt::format("{} did not answer all requests at {} a second", overloaded.name, rate)};
    }
    const auto give_up = steady_clock::now() + patience;
    while (done_at.size() < accepted.size()) {
        poll_balance();
        if (steady_clock::now() > give_up) {
            throw std::runtime_error{
                fmt::format("{} did not process all accepted events", overloaded.name)};
        }
    }
    std::size_t done_in_time = 0;
    for (std::size_t i = 0; i < accepted.size(); ++i) {
        const LoadAnswer& answer = accepted[i];
        const auto took =
            overloaded.answers_when_done
                ? answer.latency
                : std::chrono::duration_cast<std::chrono::microseconds>(done_at[i] - answer.due);
        if (answer.n >= first) {
            goodput.done.record(took);
            done_in_time += took <= in_time ? 1 : 0;
        }
    }
    goodput.in_time_per_second =
        static_cast<double>(done_in_time) / static_cast<double>(options.seconds);
    return goodput;
}

/// Reads "0.5,1,2".
std::vector<double> read_times(const std::string& list) {
    std::vector<double> times;
    std::istringstream in{list};
    for (std::string text; std::getline(in, text, ',');) {
        char* end = nullptr;
        const double number = std::strtod(text.c_str(), &end);
        if (text.empty() || *end != '\0' || !(number >= 0.1 && number <= 20)) {
            fail(fmt::format("--times: expected numbers from 0.1 to 20, got '{}'", text));
        }
        times.push_back(number);
    }
    if (times.empty()) {
        fail("--times: expected numbers from 0.1 to 20, got none");
    }
    return times;
}

void measure(const std::string& only, const std::vector<double>& times,
             const GoodputOptions& options, std::FILE* csv) {
    fmt::print(
        "Each server processes one event at a time, {} ms each: its capacity is {:.0f} events a "
        "second.\nAn event is in time if it is done within {} ms of being due. The final server's "
        "queue of {}\nis half of that. Measured for {} s, after {} s of the same load:\n\n",
        options.work_ms.count(), options.capacity(), in_time.count(), options.queue_capacity(),
        options.seconds, filling.count());
    fmt::print("{:<31}   {:>13}   {:>21}   {:>8}   {:>6}   {:>23}   {:>8}\n", "", "offered",
               "response p50, p99", "rejected", "p99", "done p50, p99", "in time");
    fmt::print(csv,
               "server,times,offered_per_second,answered_p50_ms,answered_p99_ms,refused_share,"
               "refused_p99_ms,done_p50_ms,done_p99_ms,in_time_per_second\n");
    for (const Overloaded& server : servers) {
        if (only != "all" && only != server.name) {
            continue;
        }
        for (const double factor : times) {
            const auto rate =
                static_cast<std::size_t>(std::max(1L, std::lround(factor * options.capacity())));
            const Goodput goodput = measure_goodput(server, rate, options);
            const auto ms = [](const LatencyHistogram& latency, double fraction) {
                return in_ms(latency.quantile(fraction));
            };
            fmt::print(
                "{:<31}   {:>4}x {:>5}/s   {:>7.1f} {:>10.1f} ms   {:>5.1f} %   {:>4.1f} ms   "
                "{:>9.1f} {:>10.1f} ms   {:>6.1f}/s\n",
                server.name, factor, rate, ms(goodput.accepted, 0.5), ms(goodput.accepted, 0.99),
                100 * goodput.rejected_share(), ms(goodput.rejected, 0.99), ms(goodput.done, 0.5),
                ms(goodput.done, 0.99), goodput.in_time_per_second);
            std::fflush(stdout);
            fmt::print(csv, "{},{},{},{:.2f},{:.2f},{:.4f},{:.2f},{:.2f},{:.2f},{:.1f}\n",
                       server.name, factor, rate, ms(goodput.accepted, 0.5),
                       ms(goodput.accepted, 0.99), goodput.rejected_share(),
                       ms(goodput.rejected, 0.99), ms(goodput.done, 0.5), ms(goodput.done, 0.99),
                       goodput.in_time_per_second);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    GoodputOptions options;
    std::string only = "all";
    std::string list = "0.5,1,2,5,10";
    std::string file = "/dev/null";
    CommandLine command_line{"Overloads servers, and counts the events that are done in time."};
    command_line.add("server", only, "all, or one of: " + names_of(servers));
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--times", list, "loads to offer, as multiples of the capacity");
    command_line.add("--seconds", options.seconds, 1, 10, "to measure for each row");
    command_line.add("--work-ms", options.work_ms, 5ms, 100ms, "duration of the work on an event");
    command_line.parse(argc, argv);
    const std::vector<double> times = read_times(list);
    if (only != "all" && std::none_of(servers.begin(), servers.end(),
                                      [&](const Overloaded& s) { return s.name == only; })) {
        fail(fmt::format("unknown server '{}'; choose one of: all, {}", only, names_of(servers)));
    }
    // If a server rejects nothing, all clients may be connected at once. This process needs about
    // 100 more descriptors.
    const double most = *std::max_element(times.begin(), times.end()) * options.capacity() *
                        static_cast<double>(filling.count() + options.seconds);
    const std::size_t descriptors_max = raise_descriptor_limit();
    if (most + 100 > static_cast<double>(descriptors_max)) {
        fail(fmt::format(
            "--times needs up to {:.0f} connections, and this process may open {} descriptors",
            most, descriptors_max));
    }
    std::FILE* const csv = open_csv(file);
    try {
        measure(only, times, options, csv);
    } catch (const std::exception& error) {
        fail(fmt::format("no figures: {}", error.what()));
    }
    close_csv(csv, file);
    finish_output();
}
