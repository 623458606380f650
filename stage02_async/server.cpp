// Stage 2: the same loop with co_await. A silent client keeps only its own coroutine waiting.
#include <asio.hpp>
#include <string>
#include <string_view>

#include "common/http/message.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"

namespace unfreeze {

// ---- options ----------------------------------------------------------------------------------

struct Options {
    ListenOptions listen;
};

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"One of the ten servers. ./lab notes explains them."};
    add_options(command_line, options.listen);
    command_line.parse(argc, argv);
    return options;
}

// ---- handle -----------------------------------------------------------------------------------

Response work(std::string_view body);

/// Reads one request, responds and closes. Shortcut: it takes everything before an empty line as
/// the head, and trusts the head's Content-Length. Stage 3 validates both.
awaitable<void> handle(Socket socket) {
    try {
        std::string bytes;
        const std::size_t head = co_await asio::async_read_until(
            socket, asio::dynamic_buffer(bytes), "\r\n\r\n", use_awaitable);
        const std::size_t body = stated_content_length(std::string_view{bytes}.substr(0, head));
        while (bytes.size() < head + body) {
            co_await asio::async_read(socket, asio::dynamic_buffer(bytes),
                                      asio::transfer_at_least(1), use_awaitable);
        }
        const std::string response = to_bytes(work(std::string_view{bytes}.substr(head, body)));
        co_await asio::async_write(socket, asio::buffer(response), use_awaitable);
    } catch (const asio::system_error&) {
        // The client has left, or the connection broke. Only this client is affected.
    }
}

/// Accepts clients, and handles each in its own coroutine.
awaitable<void> accept_all(Listener& listener) {
    for (;;) {
        Socket socket = co_await listener.async_accept();
        asio::co_spawn(socket.get_executor(), handle(std::move(socket)), stop_on_exception);
    }
}

// ---- work -------------------------------------------------------------------------------------

/// Echoes the body.
Response work(std::string_view body) {
    return {.status = 200, .body = std::string{body}, .content_type = "application/octet-stream"};
}

}  // namespace unfreeze

// ---- main -------------------------------------------------------------------------------------

int main(int argc, char** argv) {
    using namespace unfreeze;
    const Options options = parse_options(argc, argv);
    IoContext io;
    Listener listener{io, options.listen};
    asio::co_spawn(listener.get_executor(), accept_all(listener), stop_on_exception);
    io.run();
}
