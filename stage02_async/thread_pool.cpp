// The second alternative to coroutines: a fixed number of threads. If there are as many silent
// clients as threads, the server is frozen.
#include <asio.hpp>
#include <semaphore>

#include "common/net/listener.hpp"
#include "stage02_async/blocking_handle.hpp"

int main(int argc, char** argv) {
    using namespace unfreeze;
    ListenOptions options;
    std::size_t threads = 8;
    std::size_t queue_capacity = 20'000;
    CommandLine command_line{"Beside stage 2: a fixed number of threads for all connections."};
    add_options(command_line, options);
    command_line.add("--threads", threads, 1, 1'000, "threads in the pool");
    command_line.add("--queue-capacity", queue_capacity, 0, 100'000,
                     "connections that may wait for a thread; later ones wait in the backlog");
    command_line.parse(argc, argv);

    std::counting_semaphore permits{static_cast<std::ptrdiff_t>(threads + queue_capacity)};
    asio::thread_pool pool{threads};
    asio::io_context io;
    Listener listener{io, options};
    for (;;) {
        permits.acquire();
        asio::post(pool, [socket = listener.accept(), &permits]() mutable {
            handle(std::move(socket));
            permits.release();
        });
    }
}
