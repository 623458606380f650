#include "stage05_backpressure/connection_limit.hpp"

#include <optional>
#include <stdexcept>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;

namespace {

awaitable<void> acquire(ConnectionLimit& limit, std::vector<ConnectionLimit::Permit>& permits) {
    permits.push_back(co_await limit.async_acquire());
}

/// Requests `wanted` more permits, and returns how many are held.
std::size_t acquire(asio::io_context& io, ConnectionLimit& limit, std::size_t wanted,
                    std::vector<ConnectionLimit::Permit>& permits) {
    for (std::size_t i = 0; i < wanted; ++i) {
        asio::co_spawn(io, acquire(limit, permits), stop_on_exception);
    }
    io.restart();
    io.poll();
    return permits.size();
}

}  // namespace

TEST_CASE("If all permits are taken, async_acquire waits until one is released") {
    asio::io_context io;
    ConnectionLimit limit{io, 3};
    std::vector<ConnectionLimit::Permit> permits;
    CHECK(acquire(io, limit, 5, permits) == 3);
    permits.pop_back();
    CHECK(acquire(io, limit, 0, permits) == 3);  // one of the two waiters has got it
    permits.pop_back();
    CHECK(acquire(io, limit, 0, permits) == 3);
    permits.pop_back();
    CHECK(acquire(io, limit, 0, permits) == 2);  // there is no waiter left
    CHECK(acquire(io, limit, 5, permits) == 3);
}

TEST_CASE("A moved permit is released once") {
    asio::io_context io;
    ConnectionLimit limit{io, 2};
    std::vector<ConnectionLimit::Permit> permits;
    CHECK(acquire(io, limit, 2, permits) == 2);
    {
        const ConnectionLimit::Permit moved = std::move(permits.back());
        permits.pop_back();
        CHECK(acquire(io, limit, 0, permits) == 1);
    }
    CHECK(acquire(io, limit, 2, permits) == 2);
}

TEST_CASE("A permit rethrows the exception of its coroutine") {
    asio::io_context io;
    ConnectionLimit limit{io, 1};
    std::vector<ConnectionLimit::Permit> permits;
    REQUIRE(acquire(io, limit, 1, permits) == 1);
    const auto fail = []() -> awaitable<void> {
        throw std::logic_error{"an invariant is broken"};
        co_return;
    };
    asio::co_spawn(io, fail(), std::move(permits.back()));
    permits.pop_back();
    io.restart();
    CHECK_THROWS_AS(io.run(), std::logic_error);
}

TEST_CASE("A permit may outlive the limit, because the context destroys its coroutines later") {
    asio::io_context io;
    std::optional<ConnectionLimit> limit{std::in_place, io, 1};
    std::vector<ConnectionLimit::Permit> permits;
    REQUIRE(acquire(io, *limit, 1, permits) == 1);
    const auto wait = [](asio::io_context& context) -> awaitable<void> {
        Timer never{context, Timer::time_point::max()};
        co_await never.async_wait(use_awaitable);
    };
    asio::co_spawn(io, wait(io), std::move(permits.back()));
    permits.clear();
    io.restart();
    io.poll();
    limit.reset();
}
