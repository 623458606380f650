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

/// The open sessions. None of them ends by itself.
struct OpenSessions {
    std::atomic<int> count = 0;
    std::function<void()> when_all_are_open;
};

constexpr int sessions_max = 6;

awaitable<void> run_session(asio::io_context& io, OpenSessions& sessions) {
    struct Session {
        ~Session() { --sessions.count; }
        OpenSessions& sessions;
    };
    const Session session{sessions};
    Timer timer{io, Timer::time_point::max()};
    if (++sessions.count == sessions_max) {
        sessions.when_all_are_open();
    }
    co_await timer.async_wait(use_awaitable);
}

/// Starts a session for each permit, spread over the threads, and then waits for one more permit.
awaitable<void> start(IoThreads& io, ConnectionLimit& limit, OpenSessions& sessions) {
    for (;;) {
        ConnectionLimit::Permit permit = co_await limit.async_acquire();
        asio::io_context& context = io.next();
        asio::co_spawn(context, run_session(context, sessions), std::move(permit));
    }
}

}  // namespace

TEST_CASE("run() destroys the open sessions of all threads before it returns") {
    IoThreads io{3};
    OpenSessions sessions;
    ConnectionLimit limit{io, sessions_max};  // by the implicit conversion
    asio::co_spawn(static_cast<asio::io_context&>(io), start(io, limit, sessions),
                   stop_on_exception);
    SECTION("after stop()") {
        sessions.when_all_are_open = [&] { io.stop(); };
        io.run();
    }
    SECTION("after an exception in a handler, which run() rethrows") {
        sessions.when_all_are_open = [&] {
            asio::post(static_cast<asio::io_context&>(io),
                       [] { throw std::runtime_error{"broken"}; });
        };
        CHECK_THROWS_AS(io.run(), std::runtime_error);
    }
    CHECK(sessions.count == 0);
}
