// Stage 4: the server keeps balances, and does its slow work while the client waits.
#include <asio.hpp>

#include "common/http/message.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"
#include "common/variant.hpp"
#include "stage03_validation/event.hpp"
#include "stage03_validation/session.hpp"
#include "stage04_state/async_mutex.hpp"
#include "stage04_state/balances.hpp"
#include "stage04_state/query.hpp"

namespace unfreeze {

// ---- options ----------------------------------------------------------------------------------

struct Options {
    ListenOptions listen;
    SessionLimits limits;
    StateOptions state;
};

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"One of the ten servers. ./lab notes explains them."};
    add_options(command_line, options.listen);
    add_options(command_line, options.limits);
    add_options(command_line, options.state);
    command_line.parse(argc, argv);
    return options;
}

// ---- handle -----------------------------------------------------------------------------------

/// The state that all sessions share.
struct Server {
    const Options& options;
    asio::io_context& io;
    UserLimit users{options.state.users_max};
    AsyncMutex mutex{io};  // held from reading a balance until writing it
    Balances balances{options.state.users_max};
};

awaitable<Response> work(const Event& event, Server& server);

/// Makes the response to a request, which is one of these messages.
awaitable<Response> answer(const Request& request, Server& server) {
    auto message = route(request, server.users);
    const Overloaded respond{
        [&](const Event& event) { return work(event, server); },
        [&](const BalanceQuery& query) {
            return ready(balance_response(query.user, balance_of(server.balances, query.user)));
        },
        [](const Response& refusal) { return ready(refusal); },
    };
    co_return co_await std::visit(respond, message);
}

/// Answers one client's requests in order until the session is over.
awaitable<void> handle(Socket socket, Server& server) {
    Session session{socket, server.options.limits};
    while (const Request* request = co_await session.next()) {
        session.reply(co_await answer(*request, server));
        co_await session.flush();  // no response waits for the work on the next request
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

/// Adds an event to its user's balance. The timer stands for slow work, such as a database query.
awaitable<Response> work(const Event& event, Server& server) {
    const std::unique_lock lock = co_await server.mutex.async_lock();
    const std::int64_t balance = balance_of(server.balances, event.user);
    Timer slow{server.io, server.options.state.work_ms};
    co_await slow.async_wait(use_awaitable);
    const std::int64_t sum = saturating_add(balance, event.amount);
    server.balances[event.user] = sum;
    co_return accepted_response(sum);
}

}  // namespace unfreeze

// ---- main -------------------------------------------------------------------------------------

int main(int argc, char** argv) {
    using namespace unfreeze;
    const Options options = parse_options(argc, argv);
    IoContext io;
    Server server{options, io};
    Listener listener{io, options.listen};
    asio::co_spawn(listener.get_executor(), accept_all(listener, server), stop_on_exception);
    io.run();
}
