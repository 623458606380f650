#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "clients/measure/measurements.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/load.hpp"
#include "clients/probe/overload.hpp"
#include "clients/probe/silent_connections.hpp"
#include "common/json.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

Command command(std::string_view server, milliseconds work, milliseconds hold,
                std::string_view flags = "") {
    return our_server(
        server, fmt::format("--work-ms {} --hold-ms {} {}", work.count(), hold.count(), flags));
}

/// Two servers that differ only in their locks.
struct Locks {
    std::string_view name;
    std::string_view server;
};
constexpr std::array<Locks, 2> locks{
    {{"lock", "stage07_contention"}, {"shards", "stage08_sharding"}}};

/// Sends 5,000 events within 0.42 seconds, 200 at a time. Returns how many the server accepts.
std::uint64_t accepted_of_burst(const Command& command) {
    ServerProcess server{command};
    LoadOptions load{.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'000};
    load.body = [](std::size_t n) {
        const std::string user = fmt::format("user{}", n);
        return JsonObject{}.add("user", user).add("action", "buy").add("amount", 1).text();
    };
    return run_load(server.target(), load).accepted;
}

/// The three changes that this course's original notes made together. We make each of them alone
/// and combined with the others.
constexpr std::array<std::string_view, 3> factors{"shards, not a lock", "a tenth of the work",
                                                  "ten times the queue"};
struct FactorRow {
    std::array<bool, 3> changed;    // as in factors
    std::array<double, 3> figures;  // accepted, jobs a second, mean latency
};

/// Prints the effect of each factor on each figure: the geometric mean of the four ratios of rows
/// that differ in that factor alone. Factors multiply, so the shares are of their logarithms.
void print_factors(const std::vector<FactorRow>& rows) {
    const auto logarithm = [&](std::size_t factor, std::size_t figure) {
        double sum = 0;
        for (const FactorRow& row : rows) {
            sum += (row.changed[factor] ? 1 : -1) * std::log(row.figures[figure]);
        }
        return sum / 4;
    };
    fmt::print("\neffect alone          accepted        jobs a second   latency\n");
    for (std::size_t factor = 0; factor < factors.size(); ++factor) {
        std::string line = fmt::format("{:<22}", factors[factor]);
        for (std::size_t figure = 0; figure < 3; ++figure) {
            double all = 0;
            for (std::size_t other = 0; other < factors.size(); ++other) {
                all += std::abs(logarithm(other, figure));
            }
            const double own = logarithm(factor, figure);
            const double share = 100 * std::abs(own) / all;
            line += fmt::format("{:<16}", fmt::format("x {:.2f}, {:.0f} %", std::exp(own), share));
        }
        fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
    }
}

}  // namespace

void measure_contention(const MeasureOptions& options, std::FILE* csv) {
    fmt::print("locks    workers   jobs a second    model   wait mean     wait p99\n");
    fmt::print(csv,
               "locks,workers,work_ms,hold_ms,jobs_per_second,model,wait_mean_ms,wait_p99_ms\n");
    constexpr std::array<std::size_t, 8> workers{1, 2, 4, 8, 11, 16, 32, 64};
    for (std::size_t i = 0; i < std::min(2 * workers.size(), options.rows); ++i) {
        const auto& [name, server] = locks[i % 2];
        const OverloadReport report =
            measure_overload({.command = command(server, options.work_ms, options.hold_ms,
                                                 fmt::format("--workers {}", workers[i / 2])),
                              .span = std::chrono::seconds{options.seconds}});
        const double all =
            static_cast<double>(workers[i / 2]) * 1e3 / in_ms(options.work_ms + options.hold_ms);
        const double model = name == "lock" ? std::min(all, 1e3 / in_ms(options.hold_ms)) : all;
        const double wait_mean = in_ms(report.wait.mean());
        const double wait_p99 = in_ms(report.wait.quantile(0.99));
        fmt::print("{:<6}   {:>7}   {:>13.1f}   {:>6.1f}   {:>6.1f} ms   {:>7.1f} ms\n", name,
                   workers[i / 2], report.jobs_per_second, model, wait_mean, wait_p99);
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},{},{:.1f},{:.1f},{:.1f},{:.1f}\n", name, workers[i / 2],
                   options.work_ms.count(), options.hold_ms.count(), report.jobs_per_second, model,
                   wait_mean, wait_p99);
    }
}

void measure_sharding(const MeasureOptions& options, std::FILE* csv) {
    fmt::print(
        "locks    work+hold   queue   accepted   jobs a second   wait mean    latency mean"
        "     latency p99\n");
    fmt::print(csv,
               "locks,work_ms,hold_ms,queue_capacity,accepted,jobs_per_second,wait_mean_ms,"
               "latency_mean_ms,latency_p99_ms\n");
    std::vector<FactorRow> rows;
    for (std::size_t i = 0; i < std::min<std::size_t>(8, options.rows); ++i) {
        const std::array<bool, 3> changed{i % 2 == 1, i / 2 % 2 == 1, i / 4 == 1};
        const auto& [name, server] = locks[changed[0] ? 1 : 0];
        const milliseconds work = options.work_ms / (changed[1] ? 10 : 1);
        const milliseconds hold = options.hold_ms / (changed[1] ? 10 : 1);
        const std::size_t capacity = changed[2] ? 1'000 : 100;
        const Command run =
            command(server, work, hold, fmt::format("--queue-capacity {}", capacity));
        const std::uint64_t accepted = accepted_of_burst(run);
        const OverloadReport report =
            measure_overload({.command = run, .span = std::chrono::seconds{options.seconds}});
        const double wait = in_ms(report.wait.mean());
        const double latency = in_ms(report.latency.mean());
        const double latency_p99 = in_ms(report.latency.quantile(0.99));
        fmt::print(
            "{:<6}   {:>9}   {:>5}   {:>8}   {:>13.1f}   {:>6.1f} ms   {:>10.0f} ms   "
            "{:>10.0f} ms\n",
            name, fmt::format("{}+{}", work.count(), hold.count()), capacity, accepted,
            report.jobs_per_second, wait, latency, latency_p99);
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},{},{},{:.1f},{:.1f},{:.1f},{:.1f}\n", name, work.count(),
                   hold.count(), capacity, accepted, report.jobs_per_second, wait, latency,
                   latency_p99);
        rows.push_back({changed, {static_cast<double>(accepted), report.jobs_per_second, latency}});
    }
    if (rows.size() == 8) {
        print_factors(rows);
    }
}

void measure_lock_granularity(const MeasureOptions& options, std::FILE* csv) {
    constexpr std::array<std::array<std::string_view, 3>, 5> servers{
        {{"a mutex", "stage07_contention", ""},
         {"a reader-writer lock", "stage07_variant_reader_writer_lock", ""},
         {"4 shards", "stage08_sharding", "--shards 4"},
         {"64 shards", "stage08_sharding", "--shards 64"},
         {"a lock for each user", "stage08_variant_lock_per_user", ""}}};
    constexpr std::array<std::size_t, 3> users{10'000, 8, 1};
    constexpr std::size_t clients = 10;  // all but one write, or all but one read
    fmt::print(
        "clients    users   locks                  jobs a second   queries a second          p50"
        "         p99\n");
    fmt::print(csv,
               "clients,users,locks,workers,work_ms,hold_ms,jobs_per_second,queries_per_second,"
               "query_p50_ms,query_p99_ms\n");
    for (std::size_t i = 0; i < std::min<std::size_t>(30, options.rows); ++i) {
        const auto& [name, server, flags] = servers[i % 5];
        const std::size_t names = users[i / 5 % 3];
        const std::size_t writers = i < 15 ? clients - 1 : 1;
        const OverloadReport report = measure_overload(
            {.command = command(server, options.work_ms, options.hold_ms,
                                fmt::format("--workers 64 {}", flags)),
             .writers = writers,
             .readers = clients - writers,
             .span = std::chrono::seconds{options.seconds},
             .user = [names](std::size_t n) { return fmt::format("user{}", n % names); }});
        const std::string mix = fmt::format("{}w {}r", writers, clients - writers);
        const double queries = static_cast<double>(report.query.count()) / report.took.count();
        const double p50 = in_ms(report.query.quantile(0.5));
        const double p99 = in_ms(report.query.quantile(0.99));
        fmt::print("{:<7}   {:>6}   {:<20}   {:>13.1f}   {:>16.1f}   {:>7.1f} ms   {:>6.1f} ms\n",
                   mix, names, name, report.jobs_per_second, queries, p50, p99);
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},64,{},{},{:.1f},{:.1f},{:.1f},{:.1f}\n", mix, names, name,
                   options.work_ms.count(), options.hold_ms.count(), report.jobs_per_second,
                   queries, p50, p99);
    }
}

}  // namespace unfreeze
