#include "clients/probe/overload.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

#include "clients/probe/connection.hpp"
#include "common/json.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr auto pause = 2ms;    // after a 503, and after each query
constexpr auto timeout = 10s;  // for one response

microseconds since(steady_clock::time_point start) {
    return std::chrono::duration_cast<microseconds>(steady_clock::now() - start);
}

/// Writers and readers, which run until they are stopped, and their measurements.
class Clients {
public:
    Clients(const Target& target, const OverloadOptions& options)
        : target_{target}, options_{options} {
        for (std::size_t i = 0; i < options.writers + options.readers; ++i) {
            threads_.emplace_back(
                [this, writes = i < options_.writers](const std::stop_token& stop) {
                    writes ? write(stop) : read(stop);
                });
        }
    }

    /// Stops all threads before joining the first: each may be waiting for a response.
    ~Clients() {
        for (std::jthread& thread : threads_) {
            thread.request_stop();
        }
    }

    /// The time since the event of this user was sent, if the user's name contains it.
    std::optional<microseconds> latency(std::string_view user) const {
        std::int64_t sent = 0;
        return std::sscanf(std::string{user}.c_str(), "sent-at-%ld", &sent) == 1
                   ? std::optional{since(start_) - microseconds{sent}}
                   : std::nullopt;
    }

    bool rejected() const { return rejected_; }
    std::uint64_t accepted_before_rejection() const { return accepted_; }

    /// The latencies of the queries since the last call.
    LatencyHistogram take_queries() {
        const std::lock_guard lock{mutex_};
        return std::exchange(queries_, {});
    }

private:
    void write(const std::stop_token& stop) {
        Connection connection{target_};
        while (!stop.stop_requested()) {
            const std::size_t n = sent_++;
            const std::string user = options_.user
                                         ? options_.user(n)
                                         : fmt::format("sent-at-{}-{}", since(start_).count(), n);
            const std::string event =
                post(JsonObject{}.add("user", user).add("action", "buy").add("amount", 1).text());
            // A retry may process an event twice, which changes no figure here.
            const auto response = connection.exchange(event, timeout);
            if (!connection.connected()) {
                return;  // the server has exited
            }
            if (response && response->status / 100 == 2) {
                accepted_ += rejected_ ? 0 : 1;
            } else {
                rejected_ = true;
                std::this_thread::sleep_for(pause);
            }
        }
    }

    void read(const std::stop_token& stop) {
        Connection connection{target_};
        for (std::size_t n = 0; !stop.stop_requested(); ++n) {
            const std::string user = options_.user ? options_.user(n) : "absent";
            const auto start = steady_clock::now();
            const auto response = connection.exchange(
                post(JsonObject{}.add("type", "balance").add("user", user).text()), timeout);
            if (!connection.connected()) {
                return;
            }
            if (response) {
                const std::lock_guard lock{mutex_};
                queries_.record(since(start));
            }
            std::this_thread::sleep_for(pause);
        }
    }

    const Target target_;
    const OverloadOptions& options_;
    const steady_clock::time_point start_ = steady_clock::now();
    std::atomic<std::size_t> sent_ = 0;
    std::atomic<bool> rejected_ = false;
    std::atomic<std::uint64_t> accepted_ = 0;  // before the first 503
    std::mutex mutex_;                         // guards queries_
    LatencyHistogram queries_;
    std::vector<std::jthread> threads_;  // started last, because they use the other members
};

/// The text between two others in a line; empty if one is missing.
std::string_view between(std::string_view line, std::string_view left, std::string_view right) {
    const std::size_t begin = line.find(left);
    const std::size_t end = line.find(right, begin + left.size());
    return begin == line.npos || end == line.npos
               ? std::string_view{}
               : line.substr(begin + left.size(), end - begin - left.size());
}

/// Reads the server's lines as it prints them.
class JobLines {
public:
    explicit JobLines(Process& process) : process_{process} {}

    /// Waits for output and calls job(line) for each line of a job. Returns false if there is none.
    template <typename Job>
    [[nodiscard]] bool follow(const Job& job) {
        const std::string more = process_.wait_for_more(seen_, timeout);
        const std::size_t end = more.rfind('\n') + 1;  // an incomplete line is read next time
        seen_ += end;
        for (std::string_view rest{more.data(), end}; !rest.empty();) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            if (line.starts_with("[worker ")) {
                job(line);
            }
            rest.remove_prefix(line.size() + 1);
        }
        return !more.empty();
    }

private:
    Process& process_;
    std::size_t seen_ = 0;
};

}  // namespace

OverloadReport measure_overload(const OverloadOptions& options) {
    // stdbuf flushes each line, so that it arrives when the job ends.
    ServerProcess server{options.command.run_by({"stdbuf", "-oL"})};
    Clients clients{server.target(), options};
    JobLines jobs{server.process()};

    std::uint64_t done = 0;
    const auto deadline = steady_clock::now() + 1min;
    while (!clients.rejected() || done < clients.accepted_before_rejection()) {
        if (!jobs.follow([&](std::string_view) { ++done; }) || steady_clock::now() > deadline) {
            throw std::runtime_error{"the server is not overloaded, or prints no jobs"};
        }
    }
    OverloadReport report;
    clients.take_queries();  // discards those sent while the queue filled
    const auto start = steady_clock::now();
    while (steady_clock::now() < start + options.span) {
        const bool printed = jobs.follow([&](std::string_view line) {
            const std::string wait{between(line, " wait=", "ms")};
            report.wait.record(microseconds{std::lround(std::strtod(wait.c_str(), nullptr) * 1e3)});
            if (const auto latency = clients.latency(between(line, " user=", " "))) {
                report.latency.record(*latency);
            }
        });
        if (!printed) {
            throw std::runtime_error{"the server exited or printed nothing while it was measured"};
        }
    }
    report.took = steady_clock::now() - start;
    report.jobs_per_second = static_cast<double>(report.wait.count()) / report.took.count();
    report.query = clients.take_queries();
    return report;
}

}  // namespace unfreeze
