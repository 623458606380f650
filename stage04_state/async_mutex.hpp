#pragma once

#include <asio.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <mutex>

#include "common/net/io.hpp"

namespace unfreeze {

/// A mutex for coroutines. Coroutines wait for it in order of arrival, and block no thread. The
/// coroutine that holds it may co_await. std::mutex allows neither: a thread that waits for it runs
/// no other coroutine, not even the one that would unlock it.
class AsyncMutex {
public:
    /// `io` outlives the mutex. As with std::mutex, no coroutine holds it when it is destroyed.
    explicit AsyncMutex(asio::io_context& io) : holder_{io, 1} {}

    /// Waits for the lock, and returns a guard that holds it:
    /// `const std::unique_lock lock = co_await mutex.async_lock();`
    [[nodiscard]] awaitable<std::unique_lock<AsyncMutex>> async_lock() {
        co_await holder_.async_send(asio::error_code{}, true, use_awaitable);
        co_return std::unique_lock{*this, std::adopt_lock};
    }

    /// Called by the guard: removes the holder, so that the first waiting coroutine gets the lock.
    void unlock() {
        holder_.try_receive([](const asio::error_code&, bool) {});
    }

private:
    /// A channel of capacity one: a send locks. The bool is needed because Asio 1.22 has no channel
    /// without values.
    asio::experimental::concurrent_channel<Executor, void(asio::error_code, bool)> holder_;
};

}  // namespace unfreeze
