#pragma once

#include <asio.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "common/command_line.hpp"
#include "common/net/io.hpp"

namespace unfreeze {

/// Where a server listens.
struct ListenOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;  // 0 picks a free port
};

void add_options(CommandLine& command_line, ListenOptions& options);

/// A listening socket that survives shortages. If the process or the machine has run out of
/// descriptors or memory, or the network fails, accept pauses, logs that once, and resumes when the
/// shortage is over; clients wait in the kernel's backlog meanwhile. If the listening socket itself
/// is broken, accept throws std::system_error.
class Listener {
public:
    /// Binds, listens and prints "listening on HOST:PORT", with an IPv6 address in brackets. Throws
    /// std::runtime_error with a sentence for the user, for example if the address is in use.
    Listener(asio::io_context& io, const ListenOptions& options);

    /// Waits for the next connection, and returns it with Nagle's algorithm off.
    [[nodiscard]] Socket accept();
    [[nodiscard]] awaitable<Socket> async_accept();

    /// For stage 6's I/O threads: `server` serves the connection, instead of the listener's
    /// context.
    [[nodiscard]] awaitable<Socket> async_accept(asio::io_context& server);

    Executor get_executor() { return acceptor_.get_executor(); }

    /// The port that it listens on, also if the options asked for 0.
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    /// For clients/measure/floor.cpp: the descriptor of the listening socket, which stays this
    /// object's.
    int native_handle() { return acceptor_.native_handle(); }

    /// For stage 10: stops listening. The kernel refuses clients, and a pending async_accept()
    /// never returns.
    void close();

private:
    bool must_pause(const asio::error_code& error);

    asio::io_context& io_;
    Acceptor acceptor_;
    Timer pause_;               // between two attempts during a shortage
    bool in_failures_ = false;  // so that a shortage is logged once, not at each attempt
    std::chrono::steady_clock::time_point last_failure_;
};

}  // namespace unfreeze
