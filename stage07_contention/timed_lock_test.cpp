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

/// A mutex that takes 30 ms to be locked.
struct SlowMutex {
    void lock() {
        ManualClock::elapsed += 30ms;
        locked = true;
    }
    void unlock() { locked = false; }
    bool locked = false;
};

}  // namespace

TEST_CASE("A timed lock measures the wait and the hold") {
    SlowMutex mutex;
    TimedLock<SlowMutex, ManualClock> lock{mutex};
    CHECK(mutex.locked);
    ManualClock::elapsed += 7ms;
    lock.unlock();
    CHECK(!mutex.locked);
    ManualClock::elapsed += 100ms;
    CHECK(lock.wait() == 30ms);
    CHECK(lock.hold() == 7ms);
}

TEST_CASE("A timed lock unlocks when it is destroyed") {
    SlowMutex mutex;
    { const TimedLock<SlowMutex, ManualClock> lock{mutex}; }
    CHECK(!mutex.locked);
}
