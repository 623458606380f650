// The first alternative to coroutines: a thread for each connection. Silent clients delay no other
// client, but each of them costs a thread.
#include <fmt/format.h>

#include <asio.hpp>
#include <system_error>
#include <thread>

#include "common/log.hpp"
#include "common/net/listener.hpp"
#include "stage02_async/blocking_handle.hpp"

int main(int argc, char** argv) {
    using namespace unfreeze;
    ListenOptions options;
    CommandLine command_line{"Beside stage 2: a thread for each connection."};
    add_options(command_line, options);
    command_line.parse(argc, argv);

    start_notices();  // before connections can use up the threads
    asio::io_context io;
    Listener listener{io, options};
    for (;;) {
        Socket socket = listener.accept();
        try {
            std::thread{handle, std::move(socket)}.detach();
        } catch (const std::system_error& error) {
            // The system starts no more threads. Only this connection closes.
            notice(fmt::format("connection closed, because no thread could start: {}",
                               error.code().message()));
        }
    }
}
