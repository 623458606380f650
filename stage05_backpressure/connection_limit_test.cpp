#include "stage05_backpressure/connection_limit.hpp"

#include <optional>
#include <stdexcept>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;

namespace {

awaitable<void> take(ConnectionLimit& limit, std::vector<ConnectionLimit::Permit>& permits) {
    permits.push_back(co_await limit.async_acquire());
}

/// Asks for so many permits, and tells how many there were.
std::size_t take(asio::io_context& io, ConnectionLimit& limit, std::size_t wanted,
                 std::vector<ConnectionLimit::Permit>& permits) {
    for (std::size_t i = 0; i < wanted; ++i) {
        asio::co_spawn(io, take(limit, permits), stop_on_exception);
    }
    io.restart();
    io.poll();
    return permits.size();
}

}  // namespace

TEST_CASE("There are so many permits, and whoever finds none waits until one is left") {
    asio::io_context io;
    ConnectionLimit limit{io, 3};
    std::vector<ConnectionLimit::Permit> permits;
    CHECK(take(io, limit, 5, permits) == 3);
    permits.pop_back();
    CHECK(take(io, limit, 0, permits) == 3);  // one of the two that wait has got it
    permits.pop_back();
    CHECK(take(io, limit, 0, permits) == 3);
    permits.pop_back();
    CHECK(take(io, limit, 0, permits) == 2);  // nobody waits any more
    CHECK(take(io, limit, 5, permits) == 3);
}

TEST_CASE("A permit that has been moved is left once") {
    asio::io_context io;
    ConnectionLimit limit{io, 2};
    std::vector<ConnectionLimit::Permit> permits;
    CHECK(take(io, limit, 2, permits) == 2);
    {
        const ConnectionLimit::Permit moved = std::move(permits.back());
        permits.pop_back();
        CHECK(take(io, limit, 0, permits) == 1);
    }
    CHECK(take(io, limit, 2, permits) == 2);
}

TEST_CASE("A permit hears the exception of the coroutine that it belongs to") {
    asio::io_context io;
    ConnectionLimit limit{io, 1};
    std::vector<ConnectionLimit::Permit> permits;
    REQUIRE(take(io, limit, 1, permits) == 1);
    const auto fail = []() -> awaitable<void> {
        throw std::logic_error{"an invariant is broken"};
        co_return;
    };
    asio::co_spawn(io, fail(), std::move(permits.back()));
    permits.pop_back();
    io.restart();
    CHECK_THROWS_AS(io.run(), std::logic_error);
}

TEST_CASE("A permit may outlive the limit: a coroutine's end comes with that of its context") {
    asio::io_context io;
    std::optional<ConnectionLimit> limit{std::in_place, io, 1};
    std::vector<ConnectionLimit::Permit> permits;
    REQUIRE(take(io, *limit, 1, permits) == 1);
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
