// Stage 8: many locks, so that users who have nothing to do with each other do not meet.
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
#include "stage07_contention/lock_report.hpp"
#include "stage07_contention/timed_lock.hpp"
#include "stage08_sharding/sharded_map.hpp"

namespace unfreeze {

// ---- options ----------------------------------------------------------------------------------

struct Options {
    ListenOptions listen;
    SessionLimits limits;
    std::chrono::milliseconds work_ms{100};  // what the work on an event takes
    std::chrono::milliseconds hold_ms{10};   // of work under the lock
    std::size_t users_max = 100'000;         // that balances are kept of
    std::size_t queue_capacity = 100;        // events that may wait for a worker
    std::size_t connections_max = 20'000;    // those open: the next waits in the kernel's backlog
    std::size_t workers = 16;                // threads that work on events
    std::size_t io_threads = 1;              // threads that serve connections
    std::size_t shards = 64;                 // locks that share the users among them
};

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"Stage 8: many workers, and many locks that are held for long."};
    add_listen_options(command_line, options.listen);
    add_session_limits(command_line, options.limits);
    command_line.add("--work-ms", options.work_ms, "time that the work on an event takes");
    command_line.add("--hold-ms", options.hold_ms, "time that it then holds the lock");
    command_line.add("--users-max", options.users_max, 1, 10'000'000, "users with a balance");
    command_line.add("--queue-capacity", options.queue_capacity, 1, 1'000'000, "events waiting");
    command_line.add("--connections-max", options.connections_max, 1, 1'000'000, "open at a time");
    command_line.add("--workers", options.workers, 1, 1'000, "threads that work on events");
    command_line.add("--io-threads", options.io_threads, 1, 64, "threads that serve connections");
    command_line.add_power_of_two("--shards", options.shards, 65'536, "locks among the users");
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
    ShardedMap<TimedLock<std::timed_mutex>> balances{options.shards, options.users_max};
    LockReport report{io.first()};
};

/// The answer to one request: what its event asks for, or why it has none.
Response answer(const Request& request, Server& server) {
    auto message = read_message(request, server.users);
    if (const auto* refusal = std::get_if<Response>(&message)) {
        return *refusal;
    }
    if (const auto* query = std::get_if<BalanceQuery>(&message)) {
        return balance_response(query->user, server.balances.get(query->user, query_wait()));
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

/// Adds an event to its user's balance. The sleeps stand for slow work, the second one for what is
/// done under the lock, where all workers wait that have an event of the same shard.
void work(const Event& event, std::size_t worker, Server& server) {
    std::this_thread::sleep_for(server.options.work_ms);
    std::int64_t balance = 0;
    const TimedLock lock = server.balances.update(event.user, [&](std::int64_t before) {
        std::this_thread::sleep_for(server.options.hold_ms);
        return balance = saturating_add(before, event.amount);
    });
    server.report.add(worker, event.user, balance, lock.wait(), lock.hold());
}

}  // namespace unfreeze

// ---- main -------------------------------------------------------------------------------------

int main(int argc, char** argv) {
    using namespace unfreeze;
    const Options options = parse_options(argc, argv);
    IoThreads io{options.io_threads};
    Server server{options, io};
    const WorkerPool workers{options.workers, server.queue,
                             [&](const Event& e, std::size_t n) { work(e, n, server); }};
    Listener listener{io.first(), options.listen};
    asio::co_spawn(listener.get_executor(), accept_all(listener, server), stop_on_exception);
    io.run();
}
