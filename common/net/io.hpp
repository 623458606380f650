#pragma once

#include <asio.hpp>
#include <chrono>

// Asio's sockets, timers and coroutines have an executor of any kind, known at run time. Ours
// always have an io_context's, and these types say so: a connection takes a sixth less memory.
namespace unfreeze {

using asio::ip::tcp;

using Executor = asio::io_context::executor_type;

/// asio::awaitable, asio::use_awaitable, tcp::socket, tcp::acceptor and asio::steady_timer, with
/// that executor.
template <typename T>
using awaitable = asio::awaitable<T, Executor>;
inline constexpr asio::use_awaitable_t<Executor> use_awaitable;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

/// A result that is there already, for a caller that awaits one.
template <typename T>
awaitable<T> ready(T result) {
    co_return result;
}

/// asio::io_context, except that run() leaves no coroutine suspended. Asio destroys suspended
/// coroutines only with the context, which is after the objects that they refer to.
class IoContext : public asio::io_context {
public:
    using asio::io_context::io_context;

    /// Runs until stop(), or until no work is left, or until a handler throws. Then destroys all
    /// coroutines and handlers that are left. Call it once.
    void run() {
        const ShutdownGuard guard{*this};
        asio::io_context::run();
    }

    /// Destroys all coroutines and handlers. The context is not running, and will not run again.
    using asio::execution_context::shutdown;

private:
    struct ShutdownGuard {
        ~ShutdownGuard() { io.shutdown(); }
        IoContext& io;
    };
};

}  // namespace unfreeze
