// Stage 10: a graceful shutdown, which loses no accepted event.
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
#include "stage07_contention/lock_report.hpp"
#include "stage07_contention/timed_lock.hpp"
#include "stage08_sharding/sharded_map.hpp"
#include "stage09_metrics/metrics.hpp"
#include "stage09_metrics/monitor.hpp"
#include "stage10_shutdown/sessions.hpp"
#include "stage10_shutdown/shutdown.hpp"

namespace unfreeze {

// ---- options ----------------------------------------------------------------------------------

struct Options {
    ListenOptions listen;
    SessionLimits limits;
    StateOptions state{.work_ms = std::chrono::milliseconds{100}};
    LoadLimits load;
    ThreadOptions threads{.workers = 16};
    LockOptions lock;
    ShardOptions shards;
    DrainOptions drain;
};

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"One of the ten servers. ./lab notes explains them."};
    add_options(command_line, options.listen);
    add_options(command_line, options.limits);
    add_options(command_line, options.state);
    add_options(command_line, options.load);
    add_options(command_line, options.threads);
    add_options(command_line, options.lock);
    add_options(command_line, options.shards);
    add_options(command_line, options.drain);
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
    Metrics metrics = {};
    JobQueue<Job> queue{options.load.queue_capacity, options.threads.workers};
    ShardedMap<TimedLock<std::timed_mutex>> balances{options.shards.count, options.state.users_max};
    LockReport report = {};
    Sessions sessions = {};
};

/// Makes the response to a request, which is one of these messages.
Response answer(const Request& request, Server& server) {
    auto message = route(request, server.users, server.metrics);
    const Overloaded respond{
        [&](Event& event) {
            server.metrics.events.received.add();
            const PushStatus pushed = server.queue.try_push({std::move(event), request.received});
            if (pushed != PushStatus::success) {
                server.metrics.events.dropped.add();
            }
            return push_response(pushed);
        },
        [&](const BalanceQuery& query) {
            return balance_response(query.user, server.balances.get(query.user, query_wait()));
        },
        [&](MetricsQuery) { return metrics_response(server.metrics.events.read()); },
        [&](ExpositionQuery) {
            return exposition_response(server.metrics, {server.queue, server.sessions.draining()});
        },
        [](PageQuery) { return page_response(); },
        [](const Response& refusal) { return refusal; },
    };
    return std::visit(respond, message);
}

/// Answers one client's requests in order until the session is over.
awaitable<void> handle(Socket socket, Server& server) {
    const Gauge::Guard open{server.metrics.connections};
    Session session{socket, server.options.limits};
    session.on_refusal([&] { server.metrics.invalid.add(); });
    const Sessions::Entry entry{server.sessions, session};
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

/// Adds an event to its user's balance. The sleeps stand for slow work. The second one is under the
/// lock, where workers on events of the same shard wait for it.
void work(const Job& job, std::size_t worker, Server& server) {
    const auto& [event, received] = job;
    const ActiveJob active{server.metrics, received};
    std::this_thread::sleep_for(server.options.state.work_ms);
    std::int64_t balance = 0;
    const TimedLock lock = server.balances.update(event.user, [&](std::int64_t before) {
        std::this_thread::sleep_for(server.options.lock.hold_ms);
        return balance = saturating_add(before, event.amount);
    });
    server.report.add(worker, event.user, balance, lock.wait(), lock.hold());
}

}  // namespace unfreeze

// ---- main -------------------------------------------------------------------------------------

int main(int argc, char** argv) {
    using namespace unfreeze;
    const Options options = parse_options(argc, argv);
    Shutdown shutdown;  // first, because it blocks the signals in all threads that start later
    IoThreads io{options.threads.io_threads};
    Server server{options, io};
    WorkerPool workers{options.threads.workers, server.queue,
                       [&](const Job& job, std::size_t n) { work(job, n, server); }};
    Listener listener{io, options.listen};
    asio::co_spawn(listener.get_executor(), accept_all(listener, server), stop_on_exception);
    std::jthread serving = start_thread("io 1", [&] { io.run(); });

    const auto deadline = shutdown.wait() + std::chrono::seconds{options.drain.seconds};
    asio::post(listener.get_executor(), [&] { listener.close(); });
    server.queue.close();
    server.sessions.drain();
    if (!workers.wait_until(deadline, shutdown.second())) {  // some work may never end
        std::_Exit(report_final_counts(server.report, server.metrics.events.read()));
    }
    server.sessions.wait_until(flush_deadline(deadline), shutdown.second());
    io.stop();
    serving.join();  // nothing counts after this
    return report_final_counts(server.report, server.metrics.events.read());
}
