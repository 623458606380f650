#include "stage06_workers/io_threads.hpp"

#include <atomic>
#include <functional>
#include <set>
#include <stdexcept>
#include <thread>

#include "common/catch.hpp"
#include "common/net/spawn.hpp"
#include "stage05_backpressure/connection_limit.hpp"

using namespace unfreeze;

TEST_CASE("Connections are spread round robin, and each context has its own thread") {
    IoThreads io{3};
    asio::io_context& first = io;
    CHECK(&io.next() == &first);
    asio::io_context& second = io.next();
    asio::io_context& third = io.next();
    CHECK(&second != &first);
    CHECK(&third != &first);
    CHECK(&third != &second);
    CHECK(&io.next() == &first);

    std::array<std::thread::id, 3> ran_on;
    std::atomic<int> ran = 0;
    const auto note = [&](asio::io_context& context, std::size_t i) {
        asio::post(context, [&, i] {
            ran_on.at(i) = std::this_thread::get_id();
            if (++ran == 3) {
                io.stop();
            }
        });
    };
    note(io, 0);
    note(second, 1);
    note(third, 2);
    io.run();  // returns after stop(), when the other threads are joined
    CHECK(ran_on[0] == std::this_thread::get_id());
    CHECK(std::set(ran_on.begin(), ran_on.end()).size() == 3);
}

TEST_CASE("A single thread serves all connections") {
    IoThreads io{1};
    asio::io_context& first = io;
    CHECK(&io.next() == &first);
    CHECK(&io.next() == &first);
    bool ran = false;
    asio::post(first, [&] {
        ran = true;
        io.stop();
    });
    io.run();
    CHECK(ran);
}

namespace {

/// Sessions that never end by themselves.
struct Crowd {
    std::atomic<int> open = 0;
    std::function<void()> when_all_are_open;
};

constexpr int crowd_size = 6;

awaitable<void> wait_for_ever(asio::io_context& io, Crowd& crowd) {
    struct Guest {
        ~Guest() { --crowd.open; }
        Crowd& crowd;
    };
    const Guest guest{crowd};
    Timer timer{io, Timer::time_point::max()};
    if (++crowd.open == crowd_size) {
        crowd.when_all_are_open();
    }
    co_await timer.async_wait(use_awaitable);
}

/// Starts the crowd, spread over the threads, and waits for one permit more than the limit has.
awaitable<void> start(IoThreads& io, ConnectionLimit& limit, Crowd& crowd) {
    for (;;) {
        ConnectionLimit::Permit permit = co_await limit.async_acquire();
        asio::io_context& context = io.next();
        asio::co_spawn(context, wait_for_ever(context, crowd), std::move(permit));
    }
}

}  // namespace

TEST_CASE("run() destroys the open sessions of all threads before it returns") {
    IoThreads io{3};
    Crowd crowd;
    ConnectionLimit limit{io, crowd_size};  // by the implicit conversion
    asio::co_spawn(static_cast<asio::io_context&>(io), start(io, limit, crowd), stop_on_exception);
    SECTION("after stop()") {
        crowd.when_all_are_open = [&] { io.stop(); };
        io.run();
    }
    SECTION("after an exception in a handler, which run() rethrows") {
        crowd.when_all_are_open = [&] {
            asio::post(static_cast<asio::io_context&>(io), [] { throw std::runtime_error{"broken"}; });
        };
        CHECK_THROWS_AS(io.run(), std::runtime_error);
    }
    CHECK(crowd.open == 0);
}
