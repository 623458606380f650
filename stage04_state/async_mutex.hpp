#pragma once

#include <asio.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <mutex>

#include "common/net/io.hpp"

namespace unfreeze {

/// A mutex for coroutines. Whoever finds it locked waits in line, first come, first served, and
/// keeps no thread meanwhile; whoever holds it may co_await. std::mutex can do neither: a thread
/// that waits for one runs no other coroutine, among them the one that would unlock it.
class AsyncMutex {
public:
    /// As with std::mutex, nobody holds it any more when it goes; `io` outlives it.
    explicit AsyncMutex(asio::io_context& io) : holder_{io, 1} {}

    /// The lock, once it is ours, until the guard goes:
    /// `const std::unique_lock lock = co_await mutex.async_lock();`
    awaitable<std::unique_lock<AsyncMutex>> async_lock() {
        co_await holder_.async_send(asio::error_code{}, true, use_awaitable);
        co_return std::unique_lock{*this, std::adopt_lock};
    }

    /// For the guard alone: takes the holder out, and whoever is first in line goes in.
    void unlock() {
        holder_.try_receive([](const asio::error_code&, bool) {});
    }

private:
    /// Room for one: to send into it is to lock. The bool is there because Asio 1.22 has no channel
    /// that carries nothing.
    asio::experimental::concurrent_channel<Executor, void(asio::error_code, bool)> holder_;
};

}  // namespace unfreeze
