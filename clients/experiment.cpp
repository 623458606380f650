// Controlled experiments on this course's own servers: one thing is changed at a time, everything
// is measured from outside or read from what the server prints, and every row goes into a CSV file.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <future>
#include <string>
#include <thread>

#include "clients/account.hpp"
#include "clients/load.hpp"
#include "clients/process.hpp"
#include "common/command_line.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;
using namespace std::chrono_literals;
using seconds = std::chrono::duration<double>;

struct Options {
    std::string experiment;
    std::string csv;
    std::size_t seconds = 5;
};

/// What a server did under more load than it could bear.
struct Sample {
    double jobs_per_second = 0;
    double wait_mean_ms = 0;
    double wait_p99_ms = 0;
};

/// Offers it so many requests a second, and counts what it works off in a span that begins when its
/// queue has filled. The waits are the server's own figures, of all its jobs.
Sample overload(const std::string& command, std::size_t rate, std::size_t span) {
    ServerProcess server{command};
    Account account{server.target()};
    const LoadOptions load{.requests = rate * (span + 2),
                           .concurrency = 50,
                           .keep_alive = true,
                           .rate = rate,
                           .body = [&](std::size_t) { return account.event(1); }};
    const auto running = std::async(std::launch::async, [&] { run_load(server.target(), load); });
    std::this_thread::sleep_for(1s);
    const std::int64_t before = account.balance().value_or(0);
    const auto start =
        std::chrono::steady_clock::now();  // behind the query, which waits for the lock
    std::this_thread::sleep_until(start + std::chrono::seconds{span});
    const std::int64_t after = account.balance().value_or(0);
    const seconds took = std::chrono::steady_clock::now() - start;
    running.wait();

    Sample sample{.jobs_per_second = static_cast<double>(after - before) / took.count()};
    kill(server.process().pid(), SIGTERM);
    server.process().wait_for_end(5s);
    const std::string output = server.process().output();
    const std::size_t total = output.rfind("[total] ");
    if (total == std::string::npos ||
        std::sscanf(output.c_str() + total, "[total] %*d jobs wait mean %lf ms, p99 %lf ms",
                    &sample.wait_mean_ms, &sample.wait_p99_ms) != 2) {
        fail(fmt::format("'{}' has told no figures at its end", command));
    }
    return sample;
}

/// How many jobs a second so many workers do that all need one lock.
void contention(const Options& options, std::FILE* csv) {
    constexpr double work_ms = 100;
    constexpr double hold_ms = 10;
    const std::string server =
        (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "stage07_contention")
            .string();
    fmt::print("workers   jobs a second   model   wait mean     wait p99\n");
    fmt::print(csv, "workers,work_ms,hold_ms,jobs_per_second,model,wait_mean_ms,wait_p99_ms\n");
    for (const std::size_t workers : {1, 2, 4, 8, 11, 16, 32, 64}) {
        const double model =
            std::min(static_cast<double>(workers) / (work_ms + hold_ms), 1 / hold_ms) * 1000;
        const Sample sample =
            overload(fmt::format("{} --port 0 --workers {} --work-ms {} --hold-ms {}", server,
                                 workers, work_ms, hold_ms),
                     500, options.seconds);
        fmt::print("{:>7}   {:>13.1f}   {:>5.1f}   {:>6.1f} ms   {:>7.1f} ms\n", workers,
                   sample.jobs_per_second, model, sample.wait_mean_ms, sample.wait_p99_ms);
        std::fflush(stdout);
        fmt::print(csv, "{},{},{},{:.1f},{:.1f},{:.1f},{:.1f}\n", workers, work_ms, hold_ms,
                   sample.jobs_per_second, model, sample.wait_mean_ms, sample.wait_p99_ms);
    }
}

}  // namespace

int main(int argc, char** argv) {
    Options options{.experiment = "contention", .csv = "/dev/null"};
    CommandLine command_line{"Changes one thing at a time, and measures."};
    command_line.add("experiment", options.experiment, "contention: workers that need one lock");
    command_line.add("--csv", options.csv, "file for the rows");
    command_line.add("--seconds", options.seconds, 1, 600, "to measure, for each row");
    command_line.parse(argc, argv);
    if (options.experiment != "contention") {
        fail(fmt::format("there is no experiment '{}', but: contention", options.experiment));
    }
    raise_descriptor_limit();
    std::FILE* const csv = std::fopen(options.csv.c_str(), "w");
    if (csv == nullptr) {
        fail(fmt::format("can't write to {}", options.csv));
    }
    contention(options, csv);
    std::fclose(csv);
}
