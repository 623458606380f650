#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <semaphore>
#include <stop_token>
#include <thread>

#include "stage07_contention/lock_report.hpp"
#include "stage09_metrics/metrics.hpp"

namespace unfreeze {

/// Waits for SIGINT and SIGTERM, which end nothing by themselves any more. It has a thread for
/// that, which does nothing else and is there whatever the others wait for.
class Shutdown {
public:
    /// Takes both signals from this thread and from all that it starts from here on: so it is the
    /// first part of a server to be made, and from one thread.
    Shutdown();

    /// Gives the signals back.
    ~Shutdown();

    Shutdown(const Shutdown&) = delete;
    Shutdown& operator=(const Shutdown&) = delete;

    /// Waits for the first of them, and says when that was.
    steady_clock::time_point wait() {
        first_.acquire();
        return steady_clock::now();
    }

    /// Asked to stop by the second one: whoever sent it won't wait.
    std::stop_token second() const { return second_.get_token(); }

private:
    void listen();

    sigset_t before_{};
    std::binary_semaphore first_{0};
    std::stop_source second_;
    std::atomic<bool> over_ = false;
    std::jthread thread_;  // started last, when all that it uses is there
};

/// The latest moment for the last answers to reach their clients: a second from now, or the
/// deadline.
steady_clock::time_point last_answers_by(steady_clock::time_point deadline);

/// Prints the last figures and ends the process, although threads may run that will never end: with
/// status 0, or 1 where events are lost, or where nobody takes the figures within a second.
[[noreturn]] void leave(LockReport& report, const Reading& events);

}  // namespace unfreeze
