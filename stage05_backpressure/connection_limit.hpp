#pragma once

#include <asio.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

#include "common/io.hpp"
#include "common/spawn.hpp"

namespace unfreeze {

/// Bounds how many connections are open. Whoever accepts takes a place first, and waits for one
/// where none is free; clients that come meanwhile wait in the kernel's backlog.
class ConnectionLimit {
    /// AsyncMutex again, with room for more than one: a place is taken by sending.
    using Channel = asio::experimental::concurrent_channel<Executor, void(asio::error_code, bool)>;

public:
    /// One connection's place, free again when this goes, on whatever thread that is. It is the
    /// completion handler of the coroutine that serves the connection, so that it lives as long.
    class Place {
    public:
        explicit Place(std::shared_ptr<Channel> places) : places_{std::move(places)} {}
        Place(Place&&) = default;
        ~Place() {
            if (places_) {  // and has not been moved on
                places_->try_receive([](const asio::error_code&, bool) {});
            }
        }

        void operator()(const std::exception_ptr& exception) const { stop_on_exception(exception); }

    private:
        std::shared_ptr<Channel> places_;  // shared: what serves a connection may outlive the limit
    };

    /// `io` outlives the limit and its places.
    ConnectionLimit(asio::io_context& io, std::size_t connections_max)
        : places_{std::make_shared<Channel>(io, connections_max)} {}

    awaitable<Place> async_take() {
        co_await places_->async_send(asio::error_code{}, true, use_awaitable);
        co_return Place{places_};
    }

private:
    std::shared_ptr<Channel> places_;
};

}  // namespace unfreeze
