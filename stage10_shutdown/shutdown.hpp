#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <semaphore>
#include <stop_token>
#include <thread>

#include "common/command_line.hpp"
#include "stage07_contention/lock_report.hpp"
#include "stage09_metrics/metrics.hpp"

namespace unfreeze {

struct DrainOptions {
    std::size_t seconds = 10;  // from the first signal until the server gives up
};

inline void add_options(CommandLine& command_line, DrainOptions& options) {
    command_line.add("--drain-seconds", options.seconds, 0, 86'400, "time to finish in");
}

/// Turns SIGINT and SIGTERM into a graceful shutdown: they no longer end the process. A separate
/// thread waits for them, so it notices them whatever the other threads do.
class Shutdown {
public:
    /// Blocks both signals in this thread and in all threads that it starts later. So construct it
    /// first, before other threads exist.
    Shutdown();

    /// Ends the thread. The signals stay blocked, because a late duplicate of the first one must
    /// not end the process.
    ~Shutdown();

    Shutdown(const Shutdown&) = delete;
    Shutdown& operator=(const Shutdown&) = delete;

    /// Waits for the first signal, and returns the time.
    steady_clock::time_point wait() {
        first_.acquire();
        return steady_clock::now();
    }

    /// Stopped by a second signal, whose sender does not want to wait for the drain. A signal
    /// within `duplicate_window` of the first is a duplicate: `timeout`, or Ctrl+C through a
    /// wrapper, sends one signal to the process and to its group.
    std::stop_token second() const { return second_.get_token(); }

    static constexpr std::chrono::milliseconds duplicate_window{500};

private:
    void listen();

    std::binary_semaphore first_{0};
    std::stop_source second_;
    std::atomic<bool> over_ = false;
    std::jthread thread_;  // last member: the thread uses all others
};

/// The time until which sessions may send their last responses: a second from now, but not after
/// the deadline.
steady_clock::time_point flush_deadline(steady_clock::time_point deadline);

/// Prints the final counts, and returns the exit status: 0, or 1 if accepted events are lost. If
/// the output takes no more text for a second, it ends the process with 1.
int report_final_counts(LockReport& report, const Snapshot& events);

}  // namespace unfreeze
