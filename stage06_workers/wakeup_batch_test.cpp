#include "stage06_workers/wakeup_batch.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "common/catch.hpp"
#include "stage05_backpressure/bounded_queue.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

using Queue = BoundedQueue<int, std::mutex, BatchedCondition>;

/// A queue, and two threads that take all that comes and count it. When it has been made, they
/// wait: one item has been taken, and a moment has passed. (Nobody can see them wait. Where they
/// did not, the tests below would see less than there is and not more.)
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

    /// Whether they have taken so many, now or soon.
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

TEST_CASE("Who waits is woken when the handlers that were ready have run") {
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

TEST_CASE("Where much comes in one turn, nobody waits for its end") {
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

TEST_CASE("An I/O thread that waits itself wakes first whom it owes it") {
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

TEST_CASE("A loop that is stopped in the middle of a turn leaves nobody waiting") {
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

TEST_CASE("Each turn wakes anew, and a thread without turns wakes at once") {
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
