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

/// Locks a mutex, and knows how long it waited for it and how long it has held it. Three looks at
/// the clock, two of them outside of the lock.
template <typename Mutex, typename Clock = std::chrono::steady_clock>
class TimedLock {
public:
    explicit TimedLock(Mutex& mutex) : lock_{mutex} {}

    void unlock() {
        lock_.unlock();
        released_ = Clock::now();
    }

    typename Clock::duration wait() const { return locked_ - asked_; }

    /// Once it has been unlocked.
    typename Clock::duration hold() const { return released_ - locked_; }

private:
    const typename Clock::time_point asked_ = Clock::now();
    std::unique_lock<Mutex> lock_;  // between the two: members are made in this order
    const typename Clock::time_point locked_ = Clock::now();
    typename Clock::time_point released_ = locked_;
};

}  // namespace unfreeze
