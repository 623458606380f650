#pragma once

#include <chrono>
#include <mutex>

namespace unfreeze {

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
