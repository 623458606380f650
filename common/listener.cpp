#include "common/listener.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>

#include "common/log.hpp"

namespace unfreeze {
namespace {

/// Long enough to cost nothing, short enough that nobody notices the end of a shortage late.
constexpr std::chrono::milliseconds shortage_pause{100};

/// A shortage comes and goes while its backlog is worked off; one that has not come for this long
/// is over.
constexpr std::chrono::seconds shortage_over_after{1};

}  // namespace

void add_listen_options(CommandLine& command_line, ListenOptions& options) {
    command_line.add("--host", options.host, "address to listen on");
    command_line.add("--port", options.port, "TCP port to listen on; 0 picks a free one");
}

Listener::Listener(asio::io_context& io, const ListenOptions& options) : acceptor_{io}, pause_{io} {
    const std::string where = fmt::format("{}:{}", options.host, options.port);
    try {
        const auto found = tcp::resolver{io}.resolve(options.host, std::to_string(options.port),
                                                     tcp::resolver::passive);
        const tcp::endpoint endpoint = found.begin()->endpoint();
        acceptor_.open(endpoint.protocol());
        acceptor_.set_option(tcp::acceptor::reuse_address{true});  // a restart need not wait
        acceptor_.bind(endpoint);
        acceptor_.listen();
    } catch (const std::system_error& error) {
        if (error.code() == asio::error::address_in_use) {
            fail(fmt::format("{} is in use: end the server that has it, or choose another --port",
                             where));
        }
        fail(fmt::format("can't listen on {}: {}", where, error.code().message()));
    }
    fmt::print("listening on {}:{}\n", acceptor_.local_endpoint().address().to_string(),
               acceptor_.local_endpoint().port());
    std::fflush(stdout);  // a script may be waiting for this line at the other end of a pipe
}

tcp::socket Listener::accept() {
    for (;;) {
        asio::error_code error;
        tcp::socket socket = acceptor_.accept(error);
        if (!is_shortage(error)) {
            return accepted(std::move(socket));
        }
        pause_.expires_after(shortage_pause);
        pause_.wait();
    }
}

asio::awaitable<tcp::socket> Listener::async_accept() {
    for (;;) {
        asio::error_code error;
        tcp::socket socket =
            co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
        if (!is_shortage(error)) {
            co_return accepted(std::move(socket));
        }
        pause_.expires_after(shortage_pause);
        co_await pause_.async_wait(asio::use_awaitable);
    }
}

bool Listener::is_shortage(const asio::error_code& error) {
    const bool shortage = error == asio::error::no_descriptors ||
                          error == asio::error::no_buffer_space ||
                          error == asio::error::no_memory ||
                          error == asio::error_code{ENFILE, asio::error::get_system_category()};
    if (error && !shortage) {
        throw std::system_error{error, "accept"};
    }
    const auto now = std::chrono::steady_clock::now();
    if (shortage) {
        if (!in_shortage_) {
            notice(fmt::format("accepting pauses: {}", error.message()));
        }
        in_shortage_ = true;
        last_shortage_ = now;
    } else if (in_shortage_ && now > last_shortage_ + shortage_over_after) {
        notice("accepting again");
        in_shortage_ = false;
    }
    return shortage;
}

tcp::socket Listener::accepted(tcp::socket socket) {
    // An answer leaves in one write: Nagle's algorithm would only hold it back behind the last one.
    asio::error_code gone_already;
    socket.set_option(tcp::no_delay{true}, gone_already);
    return socket;
}

}  // namespace unfreeze
