#include "stage07_contention/timed_lock.hpp"

#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// A clock that the test moves.
struct ManualClock {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<ManualClock>;
    [[maybe_unused]] static constexpr bool is_steady = true;
    static time_point now() { return time_point{elapsed}; }
    static inline duration elapsed{0};
};

/// A mutex that is free, or that another thread holds for 30 ms.
struct FakeMutex {
    bool try_lock() { return locked = !busy; }
    void lock() {
        ManualClock::elapsed += 30ms;
        locked = true;
    }
    void unlock() { locked = false; }
    bool busy = false;
    bool locked = false;
};

}  // namespace

TEST_CASE("A timed lock measures the wait and the hold") {
    const bool busy = GENERATE(false, true);
    FakeMutex mutex{.busy = busy};
    TimedLock<FakeMutex, ManualClock> lock{mutex};
    CHECK(mutex.locked);
    ManualClock::elapsed += 7ms;
    lock.unlock();
    CHECK(!mutex.locked);
    ManualClock::elapsed += 100ms;
    CHECK(lock.wait() == (busy ? 30ms : 0ms));
    CHECK(lock.hold() == 7ms);
}

TEST_CASE("A timed lock unlocks when it is destroyed") {
    FakeMutex mutex;
    { const TimedLock<FakeMutex, ManualClock> lock{mutex}; }
    CHECK(!mutex.locked);
}
