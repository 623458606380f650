// Stage 3: sessions that trust no client, and a typed event.
#include <asio.hpp>

#include "common/http/message.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"
#include "common/variant.hpp"
#include "stage03_validation/event.hpp"
#include "stage03_validation/session.hpp"

namespace unfreeze {

// ---- options ----------------------------------------------------------------------------------

struct Options {
    ListenOptions listen;
    SessionLimits limits;
};

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"One of the ten servers. ./lab notes explains them."};
    add_options(command_line, options.listen);
    add_options(command_line, options.limits);
    command_line.parse(argc, argv);
    return options;
}

// ---- handle -----------------------------------------------------------------------------------

/// The state that all sessions share.
struct Server {
    const Options& options;
};

Response work(const Event& event);

/// Makes the response to a request, which is one of these messages.
Response answer(const Request& request) {
    auto message = route(request);
    const Overloaded respond{
        [](const Event& event) { return work(event); },
        [](const Response& refusal) { return refusal; },
    };
    return std::visit(respond, message);
}

/// Answers one client's requests in order until the session is over.
awaitable<void> handle(Socket socket, Server& server) {
    Session session{socket, server.options.limits};
    while (const Request* request = co_await session.next()) {
        session.reply(answer(*request));
    }
}

/// Accepts clients, and handles each in its own coroutine.
awaitable<void> accept_all(Listener& listener, Server& server) {
    for (;;) {
        Socket socket = co_await listener.async_accept();
        asio::co_spawn(socket.get_executor(), handle(std::move(socket), server), stop_on_exception);
    }
}

// ---- work -------------------------------------------------------------------------------------

/// Does nothing with an event yet. Stage 4 keeps balances.
Response work(const Event&) { return {.status = 200, .body = R"({"status":"accepted"})"}; }

}  // namespace unfreeze

// ---- main -------------------------------------------------------------------------------------

int main(int argc, char** argv) {
    using namespace unfreeze;
    const Options options = parse_options(argc, argv);
    IoContext io;
    Server server{options};
    Listener listener{io, options.listen};
    asio::co_spawn(listener.get_executor(), accept_all(listener, server), stop_on_exception);
    io.run();
}
