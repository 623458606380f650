// Stage 6: many workers on one queue.
#include <asio.hpp>
#include <mutex>
#include <thread>

#include "common/http/message.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"
#include "common/variant.hpp"
#include "stage03_validation/event.hpp"
#include "stage03_validation/session.hpp"
#include "stage04_state/balances.hpp"
#include "stage04_state/query.hpp"
#include "stage05_backpressure/bounded_queue.hpp"
#include "stage05_backpressure/connection_limit.hpp"
#include "stage05_backpressure/responses.hpp"
#include "stage06_workers/io_threads.hpp"
#include "stage06_workers/worker_pool.hpp"

namespace unfreeze {

// ---- options ----------------------------------------------------------------------------------

struct Options {
    ListenOptions listen;
    SessionLimits limits;
    StateOptions state;
    LoadLimits load;
    ThreadOptions threads;
};

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"One of the ten servers. ./lab notes explains them."};
    add_options(command_line, options.listen);
    add_options(command_line, options.limits);
    add_options(command_line, options.state);
    add_options(command_line, options.load);
    add_options(command_line, options.threads);
    command_line.parse(argc, argv);
    return options;
}

// ---- handle -----------------------------------------------------------------------------------

/// The state that all sessions share.
struct Server {
    const Options& options;
    IoThreads& io;
    UserLimit users{options.state.users_max};
    ConnectionLimit connections{io, options.load.connections_max};
    JobQueue<Event> queue{options.load.queue_capacity, options.threads.workers};
    std::timed_mutex mutex = {};  // guards the balances
    Balances balances{options.state.users_max};
};

/// Makes the response to a request, which is one of these messages.
Response answer(const Request& request, Server& server) {
    auto message = route(request, server.users);
    const Overloaded respond{
        [&](Event& event) { return push_response(server.queue.try_push(std::move(event))); },
        [&](const BalanceQuery& query) {
            return balance_response(query.user, server.balances, server.mutex);
        },
        [](const Response& refusal) { return refusal; },
    };
    return std::visit(respond, message);
}

/// Answers one client's requests in order until the session is over.
awaitable<void> handle(Socket socket, Server& server) {
    Session session{socket, server.options.limits};
    while (const Request* request = co_await session.next()) {
        session.reply(answer(*request, server));
    }
}

/// Accepts clients, and handles each in its own coroutine.
awaitable<void> accept_all(Listener& listener, Server& server) {
    for (;;) {
        ConnectionLimit::Permit permit = co_await server.connections.async_acquire();
        Socket socket = co_await listener.async_accept(server.io.next());
        asio::co_spawn(socket.get_executor(), handle(std::move(socket), server), std::move(permit));
    }
}

// ---- work -------------------------------------------------------------------------------------

/// Adds an event to its user's balance. The sleep stands for slow work, on the worker's own thread.
void work(const Event& event, Server& server) {
    std::this_thread::sleep_for(server.options.state.work_ms);
    const std::lock_guard lock{server.mutex};
    add_to_balance(server.balances, event.user, event.amount);
}

}  // namespace unfreeze

// ---- main -------------------------------------------------------------------------------------

int main(int argc, char** argv) {
    using namespace unfreeze;
    const Options options = parse_options(argc, argv);
    IoThreads io{options.threads.io_threads};
    Server server{options, io};
    WorkerPool workers{options.threads.workers, server.queue,
                       [&](const Event& event, std::size_t) { work(event, server); }};
    Listener listener{io, options.listen};
    asio::co_spawn(listener.get_executor(), accept_all(listener, server), stop_on_exception);
    io.run();
}
