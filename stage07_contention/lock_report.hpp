#pragma once

#include <asio.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "common/histogram.hpp"

namespace unfreeze {

/// What jobs had to do with the lock.
struct LockStats {
    LatencyHistogram wait;
    LatencyHistogram hold;

    std::uint64_t jobs() const { return wait.count(); }
    void add(std::chrono::nanoseconds waited, std::chrono::nanoseconds held);
};

/// "wait mean 61.02 ms, p99 161.79 ms, max 170.92 ms   hold mean 10.09 ms".
std::string to_text(const LockStats& figures);

/// One job's line: "[worker  5] user=user3 balance=30 wait=45.23ms hold=10.12ms". A name is cut at
/// 32 bytes, and what is not printable ASCII in it becomes '?': a terminal obeys what it is shown.
std::string to_line(std::size_t worker, std::string_view user, std::int64_t balance,
                    std::chrono::nanoseconds waited, std::chrono::nanoseconds held);

/// Ends the process with `status` if this lives for a second: for a thread that is about to print,
/// which it may never get done if nobody reads its output. It is no alarm(2), because
/// ThreadSanitizer calls no signal handler while all threads wait for locks.
class ExitAlarm {
public:
    explicit ExitAlarm(int status);

private:
    std::jthread thread_;
};

/// Tells on standard output what the workers have to do with the lock: a line for each job, though
/// not for more than ten thousand a second, since nobody reads those and they would cost more than
/// the jobs; one for each second that had any, and one for all at the end. Where nobody reads the
/// output, the workers wait, and nobody else: connections are served by other threads. Where it
/// can't be written, as on a full disk or to a pipe whose reader has left, it is lost, and nothing
/// else.
class LockReport {
public:
    /// Starts to report. Whoever ends the server calls print_total().
    LockReport();

    /// The same, and ends the server: SIGINT and SIGTERM end the process as they always do, after
    /// the last line, or within a second if that can't be written. As process 1, which a signal
    /// ends only through a handler, it exits with the status that a shell would report.
    explicit LockReport(asio::io_context& io);

    /// After a job, from any thread, and not under the lock.
    void add(std::size_t worker, std::string_view user, std::int64_t balance,
             std::chrono::nanoseconds waited, std::chrono::nanoseconds held);

    /// The line for all jobs; waits while another line is being printed.
    void print_total();

private:
    static constexpr std::size_t lines_a_second_max = 10'000;

    void print_each_second(const std::stop_token& stop);
    void print_at_the_end(int signal);

    std::optional<asio::signal_set> signals_;
    std::mutex mutex_;  // guards the two below, and keeps lines in order
    LockStats second_;
    LockStats total_;
    std::condition_variable_any stopped_;
    std::jthread printer_;  // started last, when all that it uses is there
};

}  // namespace unfreeze
