#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <future>
#include <list>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "clients/measure/measurements.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/load.hpp"
#include "clients/probe/silent_connections.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// A server, and the load of its stage's client.
struct StageLoad {
    std::size_t stage;
    std::size_t requests;
    std::size_t at_a_time;
    bool keep_alive;
};
// Stage 3 runs twice, to separate the effect of keep-alive from its other changes.
constexpr std::array<StageLoad, 6> stage_loads{
    {{.stage = 1, .requests = 5'000, .at_a_time = 50, .keep_alive = false},
     {.stage = 2, .requests = 10'000, .at_a_time = 200, .keep_alive = false},
     {.stage = 3, .requests = 10'000, .at_a_time = 200, .keep_alive = false},
     {.stage = 3, .requests = 50'000, .at_a_time = 200, .keep_alive = true},
     {.stage = 4, .requests = 8, .at_a_time = 8, .keep_alive = true},
     {.stage = 5, .requests = 100'000, .at_a_time = 50, .keep_alive = true}}};

constexpr std::size_t probes_a_third = 40;
constexpr auto probe_interval = 50ms;

/// Sends a request every 50 ms, without waiting for earlier responses, and returns each response
/// time. During the second third, idle clients are connected.
std::vector<std::optional<std::chrono::microseconds>> probe_beside_silent(std::string_view server,
                                                                          std::size_t clients) {
    const ServerProcess process{our_server(server)};
    const Target& target = process.target();
    probe(target, 5s);  // not counted: the first request is slower
    std::list<Connection> silent;
    std::vector<std::future<std::optional<std::chrono::microseconds>>> probes;
    const auto start = steady_clock::now();
    while (probes.size() < 3 * probes_a_third) {
        const auto due = start + probes.size() * probe_interval;
        std::this_thread::sleep_until(due);
        while (probes.size() == probes_a_third && silent.size() < clients) {
            silent.emplace_back(target);
        }
        if (probes.size() == 2 * probes_a_third) {
            silent.clear();
        }
        probes.push_back(std::async(std::launch::async, [&target, due] {
            auto answered = probe(target, 10s);
            if (answered) {  // from when the request was due, even if it was sent late
                answered = std::chrono::duration_cast<std::chrono::microseconds>(
                    steady_clock::now() - due);
            }
            return answered;
        }));
    }
    std::vector<std::optional<std::chrono::microseconds>> answered;
    for (auto& asked : probes) {
        answered.push_back(asked.get());
    }
    return answered;
}

double mb(long kib) { return static_cast<double>(kib) / 1024; }

}  // namespace

void measure_stage_throughput(const MeasureOptions& options, std::FILE* csv) {
    fmt::print(
        "stage   requests   in flight   connections        responses/s          p50          p99"
        "   accepted   rejected\n");
    fmt::print(csv,
               "stage,requests,at_a_time,connections,answers_per_second,p50_ms,p99_ms,accepted,"
               "rejected\n");
    for (std::size_t i = 0; i < std::min(stage_loads.size(), options.rows); ++i) {
        const auto& [stage, requests, at_a_time, keep_alive] = stage_loads[i];
        // The median of three runs, unless a run takes more than a second.
        std::vector<LoadReport> reports;
        do {
            const ServerProcess server{our_server(course_servers.at(stage - 1).name)};
            reports.push_back(run_load(server.target(), {.requests = requests,
                                                         .concurrency = at_a_time,
                                                         .keep_alive = keep_alive,
                                                         .timeout_ms = 1min}));
            if (reports.back().accepted + reports.back().rejected != requests) {
                throw std::runtime_error{
                    fmt::format("stage {} did not answer all requests", stage)};
            }
        } while (reports.size() < 3 && reports.back().duration < 1s);
        std::sort(reports.begin(), reports.end(), [](const LoadReport& a, const LoadReport& b) {
            return a.answered_per_second() < b.answered_per_second();
        });
        const LoadReport& report = reports[reports.size() / 2];
        const std::string_view connections = keep_alive ? "keep-alive" : "one each";
        const double rate = report.answered_per_second();
        const double p50 = in_ms(report.latency.quantile(0.5));
        const double p99 = in_ms(report.latency.quantile(0.99));
        fmt::print(
            "{:>5}   {:>8}   {:>9}   {:<11}   {:>16.0f}   {:>7.2f} ms   {:>7.2f} ms   {:>8}   "
            "{:>8}\n",
            stage, requests, at_a_time, connections, rate, p50, p99, report.accepted,
            report.rejected);
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},{},{:.1f},{:.3f},{:.3f},{},{}\n", stage, requests, at_a_time,
                   connections, rate, p50, p99, report.accepted, report.rejected);
    }
}

void measure_queue_capacity(const MeasureOptions& options, std::FILE* csv) {
    constexpr std::array<std::size_t, 5> capacities{10, 100, 1'000, 10'000, 100'000};
    constexpr std::size_t workers = 16;
    constexpr auto work = 4ms;
    fmt::print(
        "capacity   workers   work    last event done after        model   memory empty"
        "      full\n");
    fmt::print(csv,
               "capacity,workers,work_ms,last_done_after_ms,model_ms,memory_empty_mb,"
               "memory_full_mb\n");
    for (std::size_t i = 0; i < std::min(capacities.size(), options.rows); ++i) {
        const std::size_t capacity = capacities[i];
        ServerProcess server{our_server(
            "stage06_workers", fmt::format("--workers {} --work-ms {} --queue-capacity {}", workers,
                                           work.count(), capacity))};
        const pid_t pid = server.process().pid();
        Account account{server.target()};
        const long empty = status_number(pid, "VmRSS");
        // Enough requests to fill the queue and to keep it full for a while, so that the server
        // accepts the last event when the load ends and the queue is full.
        const LoadReport load =
            run_load(server.target(), {.requests = 2 * capacity + 2'000,
                                       .keep_alive = true,
                                       .body = [&](std::size_t) { return account.event(1); }});
        const auto start = steady_clock::now();
        const long full = status_number(pid, "VmRSS");
        const auto accepted = static_cast<std::int64_t>(load.accepted);
        if (load.rejected == 0 || account.wait_for(accepted) != accepted) {
            throw std::runtime_error{"the queue was not full, or its events were not processed"};
        }
        const double waited = in_ms(steady_clock::now() - start);
        // Little's law: the events before it, divided by the rate; then its own work.
        const double model = static_cast<double>(capacity) / workers * in_ms(work) + in_ms(work);
        fmt::print(
            "{:>8}   {:>7}   {} ms   {:>20.1f} ms   {:>7.1f} ms   {:>9.1f} MB   {:>4.1f} MB\n",
            capacity, workers, work.count(), waited, model, mb(empty), mb(full));
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},{:.1f},{:.1f},{:.1f},{:.1f}\n", capacity, workers, work.count(),
                   waited, model, mb(empty), mb(full));
    }
}

void measure_workers(const MeasureOptions& options, std::FILE* csv) {
    constexpr std::array<std::size_t, 5> workers{1, 2, 4, 8, 16};
    constexpr std::size_t jobs = 100;
    fmt::print("workers   jobs     work     last job done after                 speedup\n");
    fmt::print(csv, "workers,jobs,work_ms,last_done_after_ms,times_one\n");
    double one = 0;
    for (std::size_t i = 0; i < std::min(workers.size(), options.rows); ++i) {
        ServerProcess server{our_server("stage06_workers",
                                        fmt::format("--workers {} --work-ms {} --queue-capacity {}",
                                                    workers[i], options.work_ms.count(), jobs))};
        const Burst burst = run_burst(server.target(), {.events = jobs});
        if (!burst.done || burst.accepted < static_cast<std::int64_t>(jobs)) {
            throw std::runtime_error{"the server did not accept and process all jobs"};
        }
        const double took = in_ms(burst.took);
        one = i == 0 ? took : one;
        fmt::print("{:>7}   {:>4}   {:>3} ms   {:>20.1f} ms   {:>21.1f}\n", workers[i], jobs,
                   options.work_ms.count(), took, one / took);
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},{:.1f},{:.1f}\n", workers[i], jobs, options.work_ms.count(), took,
                   one / took);
    }
}

void measure_freeze(const MeasureOptions& options, std::FILE* csv) {
    constexpr std::array<std::string_view, 2> servers{"stage01_blocking", "stage02_async"};
    constexpr std::size_t clients = 20;
    fmt::print("stage     idle clients   probes   answered          p50          max\n");
    fmt::print(csv, "stage,silent_clients,at_ms,answered_after_ms\n");
    for (std::size_t i = 0; i < std::min(servers.size(), options.rows); ++i) {
        const auto answered = probe_beside_silent(servers[i], clients);
        LatencyHistogram latency;  // of this third
        for (std::size_t n = 0; n < answered.size(); ++n) {
            const std::size_t beside = n / probes_a_third == 1 ? clients : 0;
            if (answered[n]) {
                latency.record(*answered[n]);
            }
            fmt::print(csv, "{},{},{},{}\n", i + 1, beside, in_ms(n * probe_interval),
                       answered[n] ? fmt::format("{:.2f}", in_ms(*answered[n])) : "");
            if ((n + 1) % probes_a_third == 0) {
                fmt::print("{:>5}   {:>14}   {:>6}   {:>8}   {:>7.1f} ms   {:>7.1f} ms\n", i + 1,
                           beside, probes_a_third, latency.count(), in_ms(latency.quantile(0.5)),
                           in_ms(latency.max()));
                latency = {};
            }
        }
        std::fflush(stdout);
    }
}

void measure_connections(const MeasureOptions& options, std::FILE* csv) {
    constexpr std::array<std::string_view, 4> servers{"stage02_async", "thread_per_connection",
                                                      "thread_pool", "stage03_validation"};
    constexpr std::array<std::size_t, 2> counts{1'000, 10'000};
    fmt::print(
        "server                  connections    held   threads   memory each   probe response\n");
    fmt::print(csv, "server,connections,held,threads,kb_each,probe_ms\n");
    for (std::size_t i = 0; i < std::min(servers.size() * counts.size(), options.rows); ++i) {
        const std::string_view name = servers[i % servers.size()];
        const std::size_t count = counts[i / servers.size()];
        ServerProcess server{our_server(name)};
        const SilentConnections held = open_silent_connections(server, count);
        const std::string answered =
            held.probe ? fmt::format("{:.1f}", in_ms(*held.probe)) : "none";
        fmt::print("{:<21}   {:>11}   {:>5}   {:>7}   {:>8.2f} kB   {:>14}\n", name, count,
                   held.connections, held.threads, held.kb_each,
                   held.probe ? answered + " ms" : answered);
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},{},{:.2f},{}\n", name, count, held.connections, held.threads,
                   held.kb_each, answered);
    }
}

}  // namespace unfreeze
