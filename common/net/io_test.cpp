#include "common/net/io.hpp"

#include <optional>
#include <stdexcept>

#include "common/catch.hpp"
#include "common/net/spawn.hpp"

using namespace unfreeze;

namespace {

/// Records its destruction, in place of a server's part that a coroutine uses.
struct Guest {
    ~Guest() { gone = true; }
    bool& gone;
};

/// Waits for ever.
awaitable<void> wait_for_ever(asio::io_context& io, bool& gone) {
    const Guest guest{gone};
    Timer timer{io, Timer::time_point::max()};
    co_await timer.async_wait(use_awaitable);
}

}  // namespace

TEST_CASE("A context that stops leaves no coroutine suspended") {
    IoContext io;
    bool gone = false;  // after io, as a server's parts are
    asio::co_spawn(io, wait_for_ever(io, gone), stop_on_exception);
    asio::post(io, [&] { io.stop(); });
    io.run();
    CHECK(gone);
}

TEST_CASE("A context whose handler throws rethrows, and leaves no coroutine suspended") {
    IoContext io;
    bool gone = false;
    asio::co_spawn(io, wait_for_ever(io, gone), stop_on_exception);
    asio::post(io, [] { throw std::runtime_error{"broken"}; });
    CHECK_THROWS_AS(io.run(), std::runtime_error);
    CHECK(gone);
}
