#include "stage05_backpressure/connection_limit.hpp"

#include <optional>
#include <stdexcept>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;

namespace {

awaitable<void> take(ConnectionLimit& limit, std::vector<ConnectionLimit::Place>& places) {
    places.push_back(co_await limit.async_take());
}

/// Asks for so many places, and tells how many there were.
std::size_t take(asio::io_context& io, ConnectionLimit& limit, std::size_t wanted,
                 std::vector<ConnectionLimit::Place>& places) {
    for (std::size_t i = 0; i < wanted; ++i) {
        asio::co_spawn(io, take(limit, places), stop_on_exception);
    }
    io.restart();
    io.poll();
    return places.size();
}

}  // namespace

TEST_CASE("There are so many places, and whoever finds none waits until one is left") {
    asio::io_context io;
    ConnectionLimit limit{io, 3};
    std::vector<ConnectionLimit::Place> places;
    CHECK(take(io, limit, 5, places) == 3);
    places.pop_back();
    CHECK(take(io, limit, 0, places) == 3);  // one of the two that wait has got it
    places.pop_back();
    CHECK(take(io, limit, 0, places) == 3);
    places.pop_back();
    CHECK(take(io, limit, 0, places) == 2);  // nobody waits any more
    CHECK(take(io, limit, 5, places) == 3);
}

TEST_CASE("A place that has been moved is left once") {
    asio::io_context io;
    ConnectionLimit limit{io, 2};
    std::vector<ConnectionLimit::Place> places;
    CHECK(take(io, limit, 2, places) == 2);
    {
        const ConnectionLimit::Place moved = std::move(places.back());
        places.pop_back();
        CHECK(take(io, limit, 0, places) == 1);
    }
    CHECK(take(io, limit, 2, places) == 2);
}

TEST_CASE("A place hears the exception of the coroutine that it belongs to") {
    asio::io_context io;
    ConnectionLimit limit{io, 1};
    std::vector<ConnectionLimit::Place> places;
    REQUIRE(take(io, limit, 1, places) == 1);
    const auto fail = []() -> awaitable<void> {
        throw std::logic_error{"an invariant is broken"};
        co_return;
    };
    asio::co_spawn(io, fail(), std::move(places.back()));
    places.pop_back();
    io.restart();
    CHECK_THROWS_AS(io.run(), std::logic_error);
}

TEST_CASE("A place may outlive the limit: a coroutine's end comes with that of its context") {
    asio::io_context io;
    std::optional<ConnectionLimit> limit{std::in_place, io, 1};
    std::vector<ConnectionLimit::Place> places;
    REQUIRE(take(io, *limit, 1, places) == 1);
    const auto wait = [](asio::io_context& context) -> awaitable<void> {
        Timer never{context, Timer::time_point::max()};
        co_await never.async_wait(use_awaitable);
    };
    asio::co_spawn(io, wait(io), std::move(places.back()));
    places.clear();
    io.restart();
    io.poll();
    limit.reset();
}
