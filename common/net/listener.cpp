#include "common/net/listener.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <system_error>

#include "common/address.hpp"
#include "common/log.hpp"

namespace unfreeze {
namespace {

/// Between two attempts to accept during a shortage: long enough to cost no processor time, short
/// enough that clients hardly wait once the shortage is over.
constexpr std::chrono::milliseconds failure_pause{100};

/// While the backlog drains, accept fails again and again. A shortage is over when accept has not
/// failed for this long.
constexpr std::chrono::seconds failures_over_after{1};

}  // namespace

void add_options(CommandLine& command_line, ListenOptions& options) {
    command_line.add_host("--host", options.host, "address to listen on");
    command_line.add("--port", options.port, "TCP port to listen on; 0 picks a free one");
}

Listener::Listener(asio::io_context& io, const ListenOptions& options)
    : io_{io}, acceptor_{io}, pause_{io} {
    const std::string where = host_and_port(options.host, options.port);
    try {
        const auto found = tcp::resolver{io}.resolve(options.host, std::to_string(options.port),
                                                     tcp::resolver::passive);
        const tcp::endpoint endpoint = found.begin()->endpoint();
        acceptor_.open(endpoint.protocol());
        acceptor_.set_option(Acceptor::reuse_address{true});  // a restart need not wait
        // On Linux, accepted connections inherit the option. A response leaves in one write, which
        // Nagle's algorithm would only delay until the client acknowledges the last one.
        acceptor_.set_option(tcp::no_delay{true});
        acceptor_.bind(endpoint);
        acceptor_.listen();
    } catch (const std::system_error& error) {
        throw std::runtime_error{
            error.code() == asio::error::address_in_use
                ? fmt::format("{} is in use: end the server that has it, or choose another --port",
                              where)
                : fmt::format("can't listen on {}: {}", where, error.code().message())};
    }
    const std::string line =
        fmt::format("listening on {}\n",
                    host_and_port(acceptor_.local_endpoint().address().to_string(), port()));
    // A script may wait for this line. If it can't be written, the server serves nevertheless.
    static_cast<void>(std::fputs(line.c_str(), stdout));
    std::fflush(stdout);
}

Socket Listener::accept() {
    for (;;) {
        asio::error_code error;
        Socket socket = acceptor_.accept(error);
        if (!must_pause(error)) {
            return socket;
        }
        pause_.expires_after(failure_pause);
        pause_.wait();
    }
}

awaitable<Socket> Listener::async_accept() { return async_accept(io_); }

awaitable<Socket> Listener::async_accept(asio::io_context& server) {
    for (;;) {
        asio::error_code error;
        Socket socket =
            co_await acceptor_.async_accept(server, asio::redirect_error(use_awaitable, error));
        if (!acceptor_.is_open()) {
            socket.close(error);  // accepted while close() ran
            pause_.expires_at(std::chrono::steady_clock::time_point::max());
        } else if (!must_pause(error)) {
            co_return socket;
        } else {
            pause_.expires_after(failure_pause);
        }
        co_await pause_.async_wait(use_awaitable);
    }
}

void Listener::close() {
    asio::error_code closed_anyway;
    acceptor_.close(closed_anyway);
}

/// Returns whether to retry after a pause. Throws if the listening socket is broken. All other
/// errors are shortages, or network errors of one connection, which accept(2) reports too.
bool Listener::must_pause(const asio::error_code& error) {
    if (error == asio::error::bad_descriptor || error == asio::error::not_socket ||
        error == asio::error::invalid_argument || error == asio::error::fault ||
        error == asio::error::operation_aborted) {
        throw std::system_error{error, "accept"};
    }
    if (!error && !in_failures_) {
        return false;  // nearly always: a client costs no read of the clock
    }
    const auto now = std::chrono::steady_clock::now();
    const bool long_ago = now > last_failure_ + failures_over_after;
    if (error) {
        if (!in_failures_ || long_ago) {
            notice(fmt::format("accept paused: {}; retrying every {} ms", error.message(),
                               failure_pause.count()));
        }
        in_failures_ = true;
        last_failure_ = now;
    } else if (long_ago) {
        notice("accept resumed");
        in_failures_ = false;
    }
    return static_cast<bool>(error);
}

}  // namespace unfreeze
