#pragma once

#include <asio.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <cstddef>
#include <exception>
#include <memory>

#include "common/spawn.hpp"

namespace unfreeze {

/// Bounds how many connections are open. Whoever accepts takes a place first, and waits for one
/// where none is free; clients that come meanwhile wait in the kernel's backlog.
class ConnectionLimit {
public:
    /// One connection's place, free again when this goes, on whatever thread that is. It is the
    /// completion handler of the coroutine that serves the connection, so that it lives as long.
    class Place {
    public:
        explicit Place(ConnectionLimit& limit) : limit_{&limit} {}

        void operator()(std::exception_ptr exception) const { stop_on_exception(exception); }

    private:
        struct Leave {
            void operator()(ConnectionLimit* limit) const {
                limit->places_.try_receive([](const asio::error_code&, bool) {});
            }
        };
        std::unique_ptr<ConnectionLimit, Leave> limit_;
    };

    /// The limit outlives its places, and `io` outlives the limit.
    ConnectionLimit(asio::io_context& io, std::size_t connections_max)
        : places_{io, connections_max} {}

    asio::awaitable<Place> async_take() {
        co_await places_.async_send(asio::error_code{}, true, asio::use_awaitable);
        co_return Place{*this};
    }

private:
    /// AsyncMutex again, with room for more than one.
    asio::experimental::concurrent_channel<void(asio::error_code, bool)> places_;
};

}  // namespace unfreeze
