// Stage 4: the server remembers, and does its slow work while the client waits.
#include <asio.hpp>

#include "common/http/message.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"
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
    std::chrono::milliseconds work_ms{500};  // what the work on an event takes
    std::size_t users_max = 100'000;         // that balances are kept of
};

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"Stage 4: balances behind one lock, with slow work inside it."};
    add_listen_options(command_line, options.listen);
    add_session_limits(command_line, options.limits);
    command_line.add("--work-ms", options.work_ms, "time that the work on an event takes");
    command_line.add("--users-max", options.users_max, 1, 10'000'000, "users with a balance");
    command_line.parse(argc, argv);
    return options;
}

// ---- handle -----------------------------------------------------------------------------------

/// What all sessions share.
struct Server {
    const Options& options;
    asio::io_context& io;
    UserLimit users{options.users_max};
    AsyncMutex mutex{io};  // held from the reading of a balance to its writing
    Balances balances{options.users_max};
};

awaitable<Response> work(const Event& event, Server& server);

/// The answer to one request: what its event asks for, or why it has none.
awaitable<Response> answer(const Request& request, Server& server) {
    auto message = read_message(request, server.users);
    if (const auto* refusal = std::get_if<Response>(&message)) {
        co_return *refusal;
    }
    if (const auto* query = std::get_if<BalanceQuery>(&message)) {
        co_return balance_response(query->user, balance_of(server.balances, query->user));
    }
    co_return co_await work(std::get<Event>(message), server);
}

/// Answers one client's requests in order until the session is over.
awaitable<void> handle(Socket socket, Server& server) {
    Session session{socket, server.options.limits};
    while (const Request* request = co_await session.next()) {
        session.reply(co_await answer(*request, server));
        co_await session.flush();  // no answer waits for the work on the next request
    }
}

/// Accepts clients, and has each handled by a coroutine of its own.
awaitable<void> accept_all(Listener& listener, Server& server) {
    for (;;) {
        Socket socket = co_await listener.async_accept();
        const auto executor = socket.get_executor();  // asked before the socket moves
        asio::co_spawn(executor, handle(std::move(socket), server), stop_on_exception);
    }
}

// ---- work -------------------------------------------------------------------------------------

/// Adds an event to its user's balance. The timer stands for slow work, such as a database query.
awaitable<Response> work(const Event& event, Server& server) {
    const std::unique_lock lock = co_await server.mutex.async_lock();
    const std::int64_t balance = balance_of(server.balances, event.user);
    Timer slow{server.io, server.options.work_ms};
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
