#include "stage06_workers/worker_pool.hpp"

#include <pthread.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

#include "common/catch.hpp"
#include "stage03_validation/event.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

std::string name_of_this_thread() {
    std::array<char, 16> name{};
    pthread_getname_np(pthread_self(), name.data(), name.size());
    return name.data();
}

}  // namespace

TEST_CASE("Four workers work on four jobs at a time, on named threads") {
    JobQueue<Event> queue{10};
    std::mutex mutex;
    std::condition_variable arrived;
    std::set<std::string> workers;
    bool all_arrived = true;
    const auto wait_for_all = [&](const Event&, std::size_t) {
        std::unique_lock lock{mutex};
        workers.insert(name_of_this_thread());
        arrived.notify_all();
        all_arrived =
            arrived.wait_for(lock, 10s, [&] { return workers.size() == 4; }) && all_arrived;
    };
    {
        const WorkerPool pool{4, queue, wait_for_all};
        for (int i = 0; i < 4; ++i) {
            CHECK(queue.push({}) == PushStatus::success);
        }
    }
    CHECK(all_arrived);
    CHECK(workers == std::set<std::string>{"worker 1", "worker 2", "worker 3", "worker 4"});
}

TEST_CASE("The pool's destructor closes the queue and waits until it is drained") {
    JobQueue<Event> queue{1'000};
    for (int i = 0; i < 1'000; ++i) {
        CHECK(queue.try_push({.user = "a", .action = "b", .amount = i}) == PushStatus::success);
    }
    std::atomic<std::int64_t> sum = 0;
    {
        const WorkerPool pool{3, queue,
                              [&](const Event& event, std::size_t) { sum += event.amount; }};
    }
    CHECK(sum == 999 * 1'000 / 2);
    CHECK(queue.try_push({}) == PushStatus::closed);
}

TEST_CASE("A try_push to a full queue wakes sleeping workers") {
    JobQueue<Event> queue{2};
    std::atomic<int> done = 0;
    const WorkerPool pool{1, queue, [&](const Event&, std::size_t) { ++done; }};
    const auto wait_until_done = [&](int jobs) {
        const auto deadline = std::chrono::steady_clock::now() + 10s;
        while (done < jobs && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        return done >= jobs;
    };
    CHECK(queue.try_push({}) == PushStatus::success);
    CHECK(wait_until_done(1));
    std::this_thread::sleep_for(20ms);  // so that the worker waits again; no function can tell
    asio::io_context io{1};
    const WakeupBatch batch{io};
    bool woken = false;
    asio::post(io, [&] {
        while (queue.try_push({}) == PushStatus::success) {
        }
        woken = wait_until_done(3);  // within this loop iteration
    });
    io.run();
    CHECK(woken);
}

TEST_CASE("wait_until returns whether the workers ended before the deadline and before a stop") {
    JobQueue<Event> queue{10};
    std::promise<void> release;
    WorkerPool pool{2, queue, [gate = release.get_future().share()](const Event&, std::size_t) {
                        gate.wait();
                    }};
    CHECK(queue.push({}) == PushStatus::success);
    std::stop_source stop;
    const auto until = [](auto patience) { return std::chrono::steady_clock::now() + patience; };
    CHECK(!pool.wait_until(until(0ms), stop.get_token()));  // not closed
    queue.close();
    CHECK(!pool.wait_until(until(20ms), stop.get_token()));  // a job is in progress
    std::jthread stopper{[&] { stop.request_stop(); }};
    CHECK(!pool.wait_until(until(10s), stop.get_token()));
    stopper.join();
    release.set_value();
    CHECK(pool.wait_until(until(10s), {}));
    CHECK(pool.wait_until(until(0ms), {}));
}

TEST_CASE("An exception from one job is counted, and the other jobs are done") {
    JobQueue<Event> queue{100};
    std::atomic<int> done = 0;
    const WorkerPool pool{2, queue, [&](const Event& event, std::size_t) {
                              if (event.amount == 7) {
                                  throw 7;
                              }
                              if (event.amount % 10 == 0) {
                                  throw std::runtime_error{"this one fails on purpose"};
                              }
                              ++done;
                          }};
    for (int i = 0; i < 50; ++i) {
        CHECK(queue.push({.user = "a", .action = "b", .amount = i}) == PushStatus::success);
    }
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (done + static_cast<int>(pool.failed()) < 50 &&
           std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    CHECK(done == 44);
    CHECK(pool.failed() == 6);
}
