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
class Poppers {
public:
    explicit Poppers(std::size_t capacity) : queue{capacity} {
        CHECK(queue.try_push(0) == PushStatus::success);
        CHECK(pops(1));
        popped_ = 0;
        std::this_thread::sleep_for(20ms);
    }

    ~Poppers() { queue.close(); }

    Poppers(const Poppers&) = delete;
    Poppers& operator=(const Poppers&) = delete;

    /// Whether they have popped `wanted` items before the patience ends.
    bool pops(int wanted, std::chrono::milliseconds patience = 10s) const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (popped_ < wanted && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        return popped_ >= wanted;
    }

    void push(int items) {
        for (int i = 0; i < items; ++i) {
            CHECK(queue.try_push(int{i}) == PushStatus::success);
        }
    }

    Queue queue;

private:
    void pop_all() {
        while (queue.pop()) {
            ++popped_;
        }
    }

    std::atomic<int> popped_ = 0;
    std::array<std::jthread, 2> threads_{std::jthread{[this] { pop_all(); }},
                                         std::jthread{[this] { pop_all(); }}};
};

}  // namespace

TEST_CASE("A waiting thread is woken after all ready handlers have run") {
    Poppers poppers{100};
    asio::io_context io{1};
    const WakeupBatch batch{io};
    bool woken_early = false;
    asio::post(io, [&] { poppers.push(3); });
    asio::post(io, [&] { woken_early = poppers.pops(1, 50ms); });
    io.run();
    CHECK(!woken_early);
    CHECK(poppers.pops(3));
}

TEST_CASE("The jobs of one batch run at the same time, although the batch wakes only one thread") {
    constexpr int threads = 3;
    Queue queue{10};
    std::atomic<int> waiting = 0;
    std::atomic<int> working = 0;
    std::atomic<int> met = 0;
    const auto work_all = [&] {
        ++waiting;
        while (queue.pop()) {
            ++working;
            const auto deadline = std::chrono::steady_clock::now() + 10s;
            while (working < threads && std::chrono::steady_clock::now() < deadline) {
                std::this_thread::yield();
            }
            met += working == threads ? 1 : 0;
        }
    };
    {
        std::array<std::jthread, threads> workers{std::jthread{work_all}, std::jthread{work_all},
                                                  std::jthread{work_all}};
        while (waiting < threads) {
            std::this_thread::yield();
        }
        std::this_thread::sleep_for(20ms);  // all of them probably wait, as in Poppers
        asio::io_context io{1};
        const WakeupBatch batch{io};
        asio::post(io, [&] {
            for (int i = 0; i < threads; ++i) {
                CHECK(queue.try_push(int{i}) == PushStatus::success);
            }
        });
        io.run();
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (met < threads && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        queue.close();  // wakes all, so only after the wait
    }
    CHECK(met == threads);
}

TEST_CASE("Many pending wake-ups are sent before the loop iteration ends") {
    Poppers poppers{300};
    asio::io_context io{1};
    const WakeupBatch batch{io};
    bool woken = false;
    asio::post(io, [&] {
        poppers.push(280);
        woken = poppers.pops(1);
    });
    io.run();
    CHECK(woken);
    CHECK(poppers.pops(280));
}

TEST_CASE("An I/O thread sends its pending wake-ups before a balance query waits for a lock") {
    Poppers poppers{100};
    asio::io_context io{1};
    const WakeupBatch batch{io};
    bool woken = false;
    asio::post(io, [&] {
        std::timed_mutex mutex;
        poppers.push(1);
        balance_response("alice", Balances{}, mutex);
        woken = poppers.pops(1);
    });
    io.run();
    CHECK(woken);
}

TEST_CASE("An I/O thread sends its pending wake-ups before it waits itself") {
    Poppers poppers{2};
    asio::io_context io{1};
    const WakeupBatch batch{io};
    asio::post(io, [&] {
        for (int i = 0; i < 10; ++i) {
            CHECK(poppers.queue.push(int{i}) == PushStatus::success);
        }
    });
    io.run();
    CHECK(poppers.pops(10));
}

TEST_CASE("A loop that stops within an iteration still sends its wake-ups") {
    Poppers poppers{100};
    asio::io_context io{1};
    {
        const WakeupBatch batch{io};
        asio::post(io, [&] {
            poppers.push(3);
            io.stop();
        });
        io.run();
    }
    CHECK(poppers.pops(3));
}

TEST_CASE("Each loop iteration sends its wake-ups, and a thread without a loop wakes at once") {
    Poppers poppers{100};
    poppers.push(1);
    CHECK(poppers.pops(1));
    asio::io_context io{1};
    const WakeupBatch batch{io};
    for (int done = 2; done < 5; ++done) {
        asio::post(io, [&] { poppers.push(1); });
        io.restart();
        io.run();
        CHECK(poppers.pops(done));
    }
}
