#include "stage06_workers/wakeup_batch.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "common/catch.hpp"
#include "stage05_backpressure/bounded_queue.hpp"
#include "stage05_backpressure/responses.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

using Queue = BoundedQueue<int, std::mutex, BatchedCondition>;

/// A queue, and two threads that pop its items and count them. The constructor returns when both
/// threads probably wait: one item has been popped, and 20 ms have passed. (No function can tell.
/// If they did not wait, the tests below would miss a fault, and not report a false one.)
class Taker {
public:
    explicit Taker(std::size_t capacity) : queue{capacity} {
        CHECK(queue.try_push(0) == PushStatus::success);
        CHECK(takes(1));
        taken_ = 0;
        std::this_thread::sleep_for(20ms);
    }

    ~Taker() { queue.close(); }

    Taker(const Taker&) = delete;
    Taker& operator=(const Taker&) = delete;

    /// Whether they have popped `wanted` items before the patience ends.
    bool takes(int wanted, std::chrono::milliseconds patience = 10s) const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (taken_ < wanted && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        return taken_ >= wanted;
    }

    void push(int items) {
        for (int i = 0; i < items; ++i) {
            CHECK(queue.try_push(int{i}) == PushStatus::success);
        }
    }

    Queue queue;

private:
    void take_all() {
        while (queue.pop()) {
            ++taken_;
        }
    }

    std::atomic<int> taken_ = 0;
    std::array<std::jthread, 2> threads_{std::jthread{[this] { take_all(); }},
                                         std::jthread{[this] { take_all(); }}};
};

}  // namespace

TEST_CASE("A waiting thread is woken after all ready handlers have run") {
    Taker taker{100};
    asio::io_context io{1};
    const WakeupBatch batch{io};
    bool woken_early = false;
    asio::post(io, [&] { taker.push(3); });
    asio::post(io, [&] { woken_early = taker.takes(1, 50ms); });
    io.run();
    CHECK(!woken_early);
    CHECK(taker.takes(3));
}

TEST_CASE("Many pending wake-ups are sent before the loop iteration ends") {
    Taker taker{300};
    asio::io_context io{1};
    const WakeupBatch batch{io};
    bool woken = false;
    asio::post(io, [&] {
        taker.push(280);
        woken = taker.takes(1);
    });
    io.run();
    CHECK(woken);
    CHECK(taker.takes(280));
}

TEST_CASE("An I/O thread sends its pending wake-ups before a balance query waits for a lock") {
    Taker taker{100};
    asio::io_context io{1};
    const WakeupBatch batch{io};
    bool woken = false;
    asio::post(io, [&] {
        std::timed_mutex mutex;
        taker.push(1);
        balance_response("alice", Balances{}, mutex);
        woken = taker.takes(1);
    });
    io.run();
    CHECK(woken);
}

TEST_CASE("An I/O thread sends its pending wake-ups before it waits itself") {
    Taker taker{2};
    asio::io_context io{1};
    const WakeupBatch batch{io};
    asio::post(io, [&] {
        for (int i = 0; i < 10; ++i) {
            CHECK(taker.queue.push(int{i}) == PushStatus::success);
        }
    });
    io.run();
    CHECK(taker.takes(10));
}

TEST_CASE("A loop that stops within an iteration still sends its wake-ups") {
    Taker taker{100};
    asio::io_context io{1};
    {
        const WakeupBatch batch{io};
        asio::post(io, [&] {
            taker.push(3);
            io.stop();
        });
        io.run();
    }
    CHECK(taker.takes(3));
}

TEST_CASE("Each loop iteration sends its wake-ups, and a thread without a loop wakes at once") {
    Taker taker{100};
    taker.push(1);
    CHECK(taker.takes(1));
    asio::io_context io{1};
    const WakeupBatch batch{io};
    for (int done = 2; done < 5; ++done) {
        asio::post(io, [&] { taker.push(1); });
        io.restart();
        io.run();
        CHECK(taker.takes(done));
    }
}
