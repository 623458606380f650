#pragma once

#include <chrono>
#include <mutex>

#include "common/command_line.hpp"

namespace unfreeze {

struct LockOptions {
    std::chrono::milliseconds hold_ms{10};  // part of the work on an event, under the lock
};

inline void add_options(CommandLine& command_line, LockOptions& options) {
    command_line.add("--hold-ms", options.hold_ms, "time for work under the lock");
}

/// Locks a mutex, and measures how long it waits for the lock and holds it. It reads the clock
/// twice, and a third time if it has to wait.
template <typename Mutex, typename Clock = std::chrono::steady_clock>
class TimedLock {
public:
    explicit TimedLock(Mutex& mutex) : lock_{mutex, std::try_to_lock} {
        if (!lock_) {
            lock_.lock();
            locked_ = Clock::now();
        }
    }

    void unlock() {
        lock_.unlock();
        released_ = Clock::now();
    }

    typename Clock::duration wait() const { return locked_ - asked_; }

    /// Valid after unlock().
    typename Clock::duration hold() const { return released_ - locked_; }

private:
    std::unique_lock<Mutex> lock_;
    const typename Clock::time_point asked_ = Clock::now();  // the first attempt does not wait
    typename Clock::time_point locked_ = asked_;
    typename Clock::time_point released_ = locked_;
};

}  // namespace unfreeze
