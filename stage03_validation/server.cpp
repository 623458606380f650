// Stage 3: a session that trusts nobody, and a typed event.
#include <asio.hpp>

#include "common/http/message.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"
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
    CommandLine command_line{"Stage 3: nothing that a client sends is believed."};
    add_listen_options(command_line, options.listen);
    add_session_limits(command_line, options.limits);
    command_line.parse(argc, argv);
    return options;
}

// ---- handle -----------------------------------------------------------------------------------

Response work(const Event& event);

/// The answer to one request: what its event asks for, or why it has none.
Response answer(const Request& request) {
    auto message = read_event(request);
    if (const auto* refusal = std::get_if<Response>(&message)) {
        return *refusal;
    }
    return work(std::get<Event>(message));
}

/// Answers one client's requests in order until the session is over.
awaitable<void> handle(Socket socket, const Options& options) {
    Session session{socket, options.limits};
    while (const Request* request = co_await session.next()) {
        session.reply(answer(*request));
    }
}

/// Accepts clients, and has each handled by a coroutine of its own.
awaitable<void> accept_all(Listener& listener, const Options& options) {
    for (;;) {
        Socket socket = co_await listener.async_accept();
        const auto executor = socket.get_executor();  // asked before the socket moves
        asio::co_spawn(executor, handle(std::move(socket), options), stop_on_exception);
    }
}

// ---- work -------------------------------------------------------------------------------------

/// What an event asks for: nothing yet. Stage 4 keeps balances.
Response work(const Event&) { return {.status = 200, .body = R"({"status":"accepted"})"}; }

}  // namespace unfreeze

// ---- main -------------------------------------------------------------------------------------

int main(int argc, char** argv) {
    using namespace unfreeze;
    const Options options = parse_options(argc, argv);
    IoContext io;
    Listener listener{io, options.listen};
    asio::co_spawn(listener.get_executor(), accept_all(listener, options), stop_on_exception);
    io.run();
}
