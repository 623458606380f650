#pragma once

#include <asio.hpp>
#include <atomic>
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

/// How long jobs waited for the lock, and how long they held it.
struct LockStats {
    LatencyHistogram wait;
    LatencyHistogram hold;

    std::uint64_t jobs() const { return wait.count(); }
    void add(std::chrono::nanoseconds waited, std::chrono::nanoseconds held);
};

/// "wait mean 61.02 ms, p99 161.79 ms, max 170.92 ms   hold mean 10.09 ms".
std::string to_text(const LockStats& figures);

/// One job's line: "[worker  5] user=user3 balance=30 wait=45.23ms hold=10.12ms". A name is cut at
/// 32 bytes, and each byte that is not printable ASCII becomes '?', because a terminal executes
/// control characters.
std::string to_line(std::size_t worker, std::string_view user, std::int64_t balance,
                    std::chrono::nanoseconds waited, std::chrono::nanoseconds held);

/// Ends the process with `status` unless this is destroyed within a second. A thread that prints
/// the last lines needs it, because the write never returns if no program reads the output. It is
/// not alarm(2), because ThreadSanitizer calls no signal handler while all threads wait for locks.
class ExitAlarm {
public:
    explicit ExitAlarm(int status);

private:
    std::jthread thread_;
};

/// Prints on standard output how long the workers wait for the lock and hold it: one line for each
/// job, one for each second that had jobs, and one for all jobs at the end. At most ten thousand
/// jobs a second get a line, because more would cost more than the jobs, and no person reads them.
/// A printer thread writes the lines, so a worker never waits for the output. If no program reads
/// the output, ten thousand lines wait in the buffer, and no further job gets a line. The next
/// [second] line says how many jobs are "without a line". If the output can't be written, as on a
/// full disk, its lines are lost.
class LockReport {
public:
    /// For stage 10, which ends the server itself, and calls print_total() then.
    LockReport();

    /// SIGINT and SIGTERM end the process: it prints the [total] line and dies of the signal, or
    /// exits after a second if the line can't be written. Process 1 does not die of a signal that
    /// has no handler: it exits with the status that a shell would report.
    explicit LockReport(asio::io_context& io);

    /// Reports a job, from any thread. Call it without the lock.
    void add(std::size_t worker, std::string_view user, std::int64_t balance,
             std::chrono::nanoseconds waited, std::chrono::nanoseconds held);

    /// Prints the [total] line after all others, and waits until it is written. No line follows it.
    void print_total();

private:
    static constexpr std::size_t lines_a_second_max = 10'000;
    static constexpr std::chrono::milliseconds gather_time{10};  // from a line until it is written

    void print_lines(const std::stop_token& stop);
    void add_second_line(std::chrono::duration<double> span);
    void print_at_the_end(int signal);

    std::optional<asio::signal_set> signals_;
    std::atomic<std::size_t> jobs_this_second_ = 0;  // read before a line is formatted
    std::mutex mutex_;                               // guards all below
    std::string pending_;                            // lines for the printer
    bool printing_ = false;                          // the printer writes lines that it has taken
    bool ended_ = false;                             // print_total() has been called
    LockStats second_;
    std::uint64_t second_lines_ = 0;  // of the jobs in second_
    LockStats total_;
    std::condition_variable_any line_added_;
    std::condition_variable printed_;
    std::jthread printer_;  // last member: the thread uses all others
};

}  // namespace unfreeze
