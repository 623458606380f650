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
    std::uint16_t port = 8080;  // 0: a free one
};

void add_options(CommandLine& command_line, ListenOptions& options);

/// A listening socket that outlives a shortage. Accepting fails in two ways. Where the process or
/// the machine has run out of descriptors or memory, or the network fails, that passes: accepting
/// pauses, says so once, and goes on by itself, while clients wait in the kernel's backlog. Where
/// the listening socket itself is broken, trying again is of no use: std::system_error.
class Listener {
public:
    /// Binds, listens and prints "listening on HOST:PORT", with an IPv6 address in brackets. Exits
    /// with 2 and a sentence if the address is in use or is not ours.
    Listener(asio::io_context& io, const ListenOptions& options);

    /// The next connection, with Nagle's algorithm off; waits for it.
    Socket accept();
    awaitable<Socket> async_accept();

    /// The same, for a connection that is to be served by another io_context than the listener's.
    awaitable<Socket> async_accept(asio::io_context& server);

    Executor get_executor() { return acceptor_.get_executor(); }

    /// The one that it got where 0 was asked for.
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    /// The listening socket itself, for who waits for clients in another way, and no longer ours.
    /// It is non-blocking.
    int release();

    /// Nobody gets in from here on: the kernel refuses clients, and async_accept() never returns.
    void close();

private:
    bool must_pause(const asio::error_code& error);

    asio::io_context& io_;
    Acceptor acceptor_;
    Timer pause_;               // between two tries during a shortage
    bool in_failures_ = false;  // so that a shortage is reported once, not at each try
    std::chrono::steady_clock::time_point last_failure_;
};

}  // namespace unfreeze
