#pragma once

#include <asio.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "common/histogram.hpp"

namespace unfreeze {

/// What jobs had to do with the lock.
struct LockFigures {
    LatencyHistogram wait;
    std::chrono::duration<double, std::milli> wait_sum{0};
    std::chrono::duration<double, std::milli> hold_sum{0};

    std::uint64_t jobs() const { return wait.count(); }
    void add(std::chrono::nanoseconds waited, std::chrono::nanoseconds held);
};

/// "94.0 jobs a second   wait mean 61.02 ms, p99 161.79 ms, max 170.92 ms   hold mean 10.09 ms".
std::string to_text(const LockFigures& figures, std::chrono::duration<double> span);

/// One job's line: "[worker  5] user=user3 balance=30 wait=45.23ms hold=10.12ms". A name is cut at
/// 32 bytes, and what is not printable ASCII in it becomes '?': a terminal obeys what it is shown.
std::string to_line(std::size_t worker, std::string_view user, std::int64_t balance,
                    std::chrono::nanoseconds waited, std::chrono::nanoseconds held);

/// Tells on standard output what the workers have to do with the lock: a line for each job, one for
/// each second that had any, and one for all when a signal ends the server.
class LockReport {
public:
    /// Starts to report. SIGINT and SIGTERM end the process as they always do, behind the last
    /// line.
    explicit LockReport(asio::io_context& io);

    /// After a job, from any thread, and not under the lock.
    void add(std::size_t worker, std::string_view user, std::int64_t balance,
             std::chrono::nanoseconds waited, std::chrono::nanoseconds held);

private:
    using clock = std::chrono::steady_clock;

    asio::awaitable<void> print_each_second();
    asio::awaitable<void> print_at_the_end();

    asio::steady_timer timer_;
    asio::signal_set signals_;
    const clock::time_point start_ = clock::now();
    std::mutex mutex_;  // guards the two below
    LockFigures second_;
    LockFigures total_;
};

}  // namespace unfreeze
