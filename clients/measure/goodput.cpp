// Offers more than a server can do, and counts what is worth something: the events that were worked
// on while anybody still cared. The final server is to go on as if nothing were, and the two that
// take in all they are offered are to break down.
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

/// An event that has been worked on later than this after it was due is of no use to anybody.
constexpr std::chrono::milliseconds in_time{1'000};

/// So long it is offered the load before it is measured: so that a queue with a bound is full, and
/// one without has grown past what can be done in time.
constexpr std::chrono::seconds filling{1};

constexpr auto look_again_after = 2ms;

struct GoodputOptions {
    std::chrono::milliseconds work_ms{10};
    std::size_t seconds = 3;  // to measure

    /// What a server gets done in a second that works on one event at a time, as all of these do.
    double capacity() const { return 1e3 / static_cast<double>(work_ms.count()); }

    /// Little's law: whoever gets into the full queue waits for half of the time that there is.
    std::size_t queue_capacity() const {
        return static_cast<std::size_t>(in_time.count() / 2 / work_ms.count());
    }
};

/// A server that is overloaded.
struct Overloaded {
    std::string_view name;
    std::string_view what;
    std::string_view flags;  // besides --work-ms
    bool answers_when_done;  // and not when it has taken the event in
};
constexpr std::array<Overloaded, 3> servers{
    {{"stage10_shutdown", "the final server, its queue with a bound",
      "--workers 1 --hold-ms 0 --queue-capacity {}", false},
     {"stage04_state", "the work in the request's path", "", true},
     {"stage05_variant_unbounded_queue", "a queue without a bound", "", false}}};

/// What became of the requests that were due in the measured seconds.
struct Goodput {
    LatencyHistogram accepted;  // from when it was due to its answer ...
    LatencyHistogram refused;
    LatencyHistogram done;  // ... and, of the accepted ones, until it had been worked on
    double in_time_per_second = 0;

    double refused_share() const {
        return static_cast<double>(refused.count()) /
               static_cast<double>(accepted.count() + refused.count());
    }
};

/// Offers so many events a second, each from a client of its own who knows nothing of the others:
/// that the server is slow keeps nobody from coming. Then waits until all that was accepted is
/// done. The one worker takes events in the order in which they came, so the n-th accepted one is
/// done when the balance is n.
Goodput measure_goodput(const Overloaded& overloaded, std::size_t rate,
                        const GoodputOptions& options) {
    const ServerProcess server{our_server(
        overloaded.name,
        fmt::format("--work-ms {} {}", options.work_ms.count(),
                    fmt::format(fmt::runtime(overloaded.flags), options.queue_capacity())))};
    Account account{server.target()};
    std::vector<steady_clock::time_point> done_at;  // of the n-th accepted event, when it was seen
    const auto look = [&] {
        const auto balance = static_cast<std::size_t>(account.balance().value_or(0));
        done_at.resize(std::max(done_at.size(), balance), steady_clock::now());
        std::this_thread::sleep_for(look_again_after);
    };

    const std::size_t first = rate * filling.count();
    const std::size_t requests = first + rate * options.seconds;
    // Twice what the work takes by arithmetic, so that an overload comes to its end.
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
            (is_accepted ? goodput.accepted : goodput.refused).record(answer.latency);
        }
    };
    LoadReport report;
    {
        const std::jthread looking{[&](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                look();
            }
        }};
        report = run_load(server.target(), load);
    }
    if (report.accepted + report.rejected != requests) {
        throw std::runtime_error{fmt::format("{} left requests without an answer at {} a second",
                                             overloaded.name, rate)};
    }
    const auto give_up = steady_clock::now() + patience;
    while (done_at.size() < accepted.size()) {
        look();
        if (steady_clock::now() > give_up) {
            throw std::runtime_error{
                fmt::format("{} did not do all that it had accepted", overloaded.name)};
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
            fail(fmt::format("--times: '{}' is no number from 0.1 to 20", text));
        }
        times.push_back(number);
    }
    if (times.empty()) {
        fail("--times: there is nothing to offer");
    }
    return times;
}

void measure(const std::string& only, const std::vector<double>& times,
             const GoodputOptions& options, std::FILE* csv) {
    fmt::print(
        "One event at a time, {} ms each: {:.0f} a second is what each server can do. To be worked "
        "on in time\nis within {} ms of being due; the final server's queue of {} is half of that. "
        "Of {} s behind the first:\n\n",
        options.work_ms.count(), options.capacity(), in_time.count(), options.queue_capacity(),
        options.seconds);
    fmt::print("{:<31}   {:>13}   {:>21}   {:>7}   {:>7}   {:>23}   {:>8}\n", "", "offered",
               "answered p50, p99", "refused", "p99", "worked on p50, p99", "in time");
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
                100 * goodput.refused_share(), ms(goodput.refused, 0.99), ms(goodput.done, 0.5),
                ms(goodput.done, 0.99), goodput.in_time_per_second);
            std::fflush(stdout);
            fmt::print(csv, "{},{},{},{:.2f},{:.2f},{:.4f},{:.2f},{:.2f},{:.2f},{:.1f}\n",
                       server.name, factor, rate, ms(goodput.accepted, 0.5),
                       ms(goodput.accepted, 0.99), goodput.refused_share(),
                       ms(goodput.refused, 0.99), ms(goodput.done, 0.5), ms(goodput.done, 0.99),
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
    std::string help = "all, or one";
    for (const Overloaded& server : servers) {
        help += fmt::format("; {}: {}", server.name, server.what);
    }
    CommandLine command_line{"Offers servers more than they can do, and counts what is of use."};
    command_line.add("server", only, help);
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--times", list, "what to offer, as multiples of what they can do");
    command_line.add("--seconds", options.seconds, 1, 10, "to measure, for each row");
    command_line.add("--work-ms", options.work_ms, 5ms, 100ms,
                     "time that the work on an event takes");
    command_line.parse(argc, argv);
    const std::vector<double> times = read_times(list);
    if (only != "all" && std::none_of(servers.begin(), servers.end(),
                                      [&](const Overloaded& s) { return s.name == only; })) {
        fail(fmt::format("there is no '{}', but: all, {}", only, names_of(servers)));
    }
    // Where nobody is refused, all of them are there at a time; and what a process has open anyway.
    const double most = *std::max_element(times.begin(), times.end()) * options.capacity() *
                        static_cast<double>(filling.count() + options.seconds);
    const std::size_t descriptors_max = raise_descriptor_limit();
    if (most + 100 > static_cast<double>(descriptors_max)) {
        fail(fmt::format("that is up to {:.0f} clients at a time, and there are {} descriptors",
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
