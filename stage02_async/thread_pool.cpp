// The second alternative to coroutines: a fixed number of threads. As many silent clients freeze it
// as it has threads.
#include <asio.hpp>

#include "common/net/listener.hpp"
#include "stage02_async/blocking_handle.hpp"

int main(int argc, char** argv) {
    using namespace unfreeze;
    ListenOptions options;
    std::size_t threads = 8;
    CommandLine command_line{"Beside stage 2: a fixed number of threads for all connections."};
    add_options(command_line, options);
    command_line.add("--threads", threads, 1, 1'000, "threads in the pool");
    command_line.parse(argc, argv);

    asio::thread_pool pool{threads};
    asio::io_context io;
    Listener listener{io, options};
    for (;;) {
        asio::post(pool, [socket = listener.accept()]() mutable { handle(std::move(socket)); });
    }
}
