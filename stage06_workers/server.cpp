// Stage 6: many workers on one queue, and connections spread over threads.
#include <asio.hpp>
#include <mutex>
#include <thread>

#include "common/http/message.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"
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
    std::chrono::milliseconds work_ms{500};  // what the work on an event takes
    std::size_t users_max = 100'000;         // that balances are kept of
    std::size_t queue_capacity = 100;        // events that may wait for a worker
    std::size_t connections_max = 20'000;    // those open: the next waits in the kernel's backlog
    std::size_t workers = 4;                 // threads that work on events
    std::size_t io_threads = 1;              // threads that serve connections
};

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"Stage 6: a bounded queue, and many workers behind it."};
    add_listen_options(command_line, options.listen);
    add_session_limits(command_line, options.limits);
    command_line.add("--work-ms", options.work_ms, "time that the work on an event takes");
    command_line.add("--users-max", options.users_max, 1, 10'000'000, "users with a balance");
    command_line.add("--queue-capacity", options.queue_capacity, 1, 1'000'000, "events waiting");
    command_line.add("--connections-max", options.connections_max, 1, 1'000'000, "open at a time");
    command_line.add("--workers", options.workers, 1, 1'000, "threads that work on events");
    command_line.add("--io-threads", options.io_threads, 1, 64, "threads that serve connections");
    command_line.parse(argc, argv);
    return options;
}

// ---- handle -----------------------------------------------------------------------------------

/// What all sessions share.
struct Server {
    const Options& options;
    IoThreads& io;
    UserLimit users{options.users_max};
    ConnectionLimit connections{io.first(), options.connections_max};
    JobQueue<Event> queue{options.queue_capacity, options.workers};
    std::timed_mutex mutex = {};  // guards the balances
    Balances balances{options.users_max};
};

/// The answer to one request: what its event asks for, or why it has none.
Response answer(const Request& request, Server& server) {
    auto message = read_message(request, server.users);
    if (const auto* refusal = std::get_if<Response>(&message)) {
        return *refusal;
    }
    if (const auto* query = std::get_if<BalanceQuery>(&message)) {
        return balance_response(query->user, server.balances, server.mutex);
    }
    return push_response(server.queue.try_push(std::get<Event>(std::move(message))));
}

/// Answers one client's requests in order until the session is over.
awaitable<void> handle(Socket socket, Server& server) {
    Session session{socket, server.options.limits};
    while (const Request* request = co_await session.next()) {
        session.reply(answer(*request, server));
    }
}

/// Accepts clients, and has each handled by a coroutine of its own.
awaitable<void> accept_all(Listener& listener, Server& server) {
    for (;;) {
        ConnectionLimit::Permit permit = co_await server.connections.async_acquire();
        Socket socket = co_await listener.async_accept(server.io.next());
        const auto executor = socket.get_executor();  // asked before the socket moves
        asio::co_spawn(executor, handle(std::move(socket), server), std::move(permit));
    }
}

// ---- work -------------------------------------------------------------------------------------

/// Adds an event to its user's balance. The sleep stands for slow work, on a worker's own thread.
void work(const Event& event, Server& server) {
    std::this_thread::sleep_for(server.options.work_ms);
    const std::lock_guard lock{server.mutex};
    add_to_balance(server.balances, event.user, event.amount);
}

}  // namespace unfreeze

// ---- main -------------------------------------------------------------------------------------

int main(int argc, char** argv) {
    using namespace unfreeze;
    const Options options = parse_options(argc, argv);
    IoThreads io{options.io_threads};
    Server server{options, io};
    const WorkerPool workers{options.workers, server.queue,
                             [&](const Event& e, std::size_t) { work(e, server); }};
    Listener listener{io.first(), options.listen};
    asio::co_spawn(listener.get_executor(), accept_all(listener, server), stop_on_exception);
    io.run();
}
