#include "stage04_state/async_mutex.hpp"

#include <array>
#include <thread>
#include <vector>

#include "common/catch.hpp"
#include "common/net/spawn.hpp"

using namespace unfreeze;

namespace {

/// Lets all other ready coroutines run first.
awaitable<void> let_others_run() {
    co_await asio::post(co_await asio::this_coro::executor, use_awaitable);
}

awaitable<void> increment(AsyncMutex& mutex, int& counter) {
    const std::unique_lock lock = co_await mutex.async_lock();
    const int before = counter;
    co_await let_others_run();
    counter = before + 1;
}

awaitable<void> append(AsyncMutex& mutex, int number, std::vector<int>& log) {
    const std::unique_lock lock = co_await mutex.async_lock();
    co_await let_others_run();
    log.push_back(number);
}

awaitable<void> hold(AsyncMutex& mutex, std::unique_lock<AsyncMutex>& held) {
    held = co_await mutex.async_lock();
}

awaitable<void> fail(AsyncMutex& mutex) {
    const std::unique_lock lock = co_await mutex.async_lock();
    co_await let_others_run();
    throw std::runtime_error{"work failed"};
}

}  // namespace

TEST_CASE("An update under an async lock is not lost across an await") {
    asio::io_context io;
    AsyncMutex mutex{io};
    int counter = 0;
    for (int i = 0; i < 100; ++i) {
        asio::co_spawn(io, increment(mutex, counter), stop_on_exception);
    }
    io.run();
    CHECK(counter == 100);
}

TEST_CASE("An async lock excludes coroutines of several threads") {
    asio::io_context io;
    AsyncMutex mutex{io};
    int counter = 0;
    for (int i = 0; i < 2'000; ++i) {
        asio::co_spawn(io, increment(mutex, counter), stop_on_exception);
    }
    {
        std::vector<std::jthread> threads;
        while (threads.size() < 4) {
            threads.emplace_back([&] { io.run(); });
        }
    }
    CHECK(counter == 2'000);
}

TEST_CASE("Coroutines get an async lock in their order of arrival") {
    asio::io_context io;
    AsyncMutex mutex{io};
    std::vector<int> log;
    for (int number = 0; number < 10; ++number) {
        asio::co_spawn(io, append(mutex, number, log), stop_on_exception);
    }
    io.run();
    CHECK(log == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("A coroutine that waits for an async lock blocks no thread") {
    asio::io_context io;
    AsyncMutex mutex{io};
    std::vector<int> log;
    std::unique_lock<AsyncMutex> held;
    asio::co_spawn(io, hold(mutex, held), stop_on_exception);
    io.run();
    REQUIRE(held.owns_lock());

    asio::co_spawn(io, append(mutex, 1, log), stop_on_exception);
    io.restart();
    io.poll();
    CHECK(log.empty());  // it waits, but poll() has returned
    held.unlock();
    io.restart();
    io.run();
    CHECK(log == std::vector{1});
}

TEST_CASE("An exception under an async lock unlocks it") {
    asio::io_context io;
    AsyncMutex mutex{io};
    bool reported = false;
    asio::co_spawn(io, fail(mutex),
                   [&](const std::exception_ptr& exception) { reported = exception != nullptr; });
    int counter = 0;
    asio::co_spawn(io, increment(mutex, counter), stop_on_exception);
    io.run();
    CHECK(reported);
    CHECK(counter == 1);
}
