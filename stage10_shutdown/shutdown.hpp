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

/// Waits for SIGINT and SIGTERM, which end nothing by themselves any more. It has a thread for
/// that, which does nothing else and is there whatever the others wait for.
class Shutdown {
public:
    /// Takes both signals from this thread and from all that it starts from here on: so it is the
    /// first part of a server to be made, and from one thread.
    Shutdown();

    /// Ends the thread. The signals stay blocked: what comes later is the second half of a wish
    /// that has been fulfilled.
    ~Shutdown();

    Shutdown(const Shutdown&) = delete;
    Shutdown& operator=(const Shutdown&) = delete;

    /// Waits for the first of them, and says when that was.
    steady_clock::time_point wait() {
        first_.acquire();
        return steady_clock::now();
    }

    /// Asked to stop by a second one, which says that its sender won't wait. One that comes within
    /// `same_wish` of the first is not a second: `timeout`, or Ctrl+C through a wrapper, sends a
    /// signal to a process and to its group, so that one wish comes twice.
    std::stop_token second() const { return second_.get_token(); }

    static constexpr std::chrono::milliseconds same_wish{500};

private:
    void listen();

    std::binary_semaphore first_{0};
    std::stop_source second_;
    std::atomic<bool> over_ = false;
    std::jthread thread_;  // started last, when all that it uses is there
};

/// The latest moment for the last answers to reach their clients: a second from now, or the
/// deadline.
steady_clock::time_point flush_deadline(steady_clock::time_point deadline);

/// Prints the last figures, and gives the process's exit status: 0, or 1 if events are lost. If
/// nobody takes the figures within a second, ends the process with 1.
int report_final_counts(LockReport& report, const Snapshot& events);

}  // namespace unfreeze
