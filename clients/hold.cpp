// Holds many silent connections to a server and tells what they cost it: descriptors, threads and
// resident memory, read from /proc, and whether it still answers beside them.
#include <fmt/format.h>

#include <algorithm>
#include <asio.hpp>
#include <chrono>
#include <cstdio>
#include <list>
#include <optional>
#include <string>
#include <thread>

#include "clients/claims.hpp"
#include "clients/connection.hpp"
#include "clients/server_options.hpp"
#include "common/log.hpp"

int main(int argc, char** argv) {
    using namespace unfreeze;
    using namespace std::chrono_literals;
    std::string spawn;
    std::size_t connections = 1'000;
    CommandLine command_line{"Holds silent connections to a server, and tells what they cost it."};
    command_line.add("--spawn", spawn, "command that starts the server");
    command_line.add("--connections", connections, 1, 1'000'000, "how many to hold");
    command_line.parse(argc, argv);
    if (spawn.empty()) {
        fail("--spawn is needed: what a server holds can be read of a process started here alone");
    }
    raise_descriptor_limit();
    std::optional<ServerProcess> spawned;
    const Target target = find_server({.spawn = spawn}, spawned);
    const pid_t pid = spawned->process().pid();

    const std::ptrdiff_t descriptors_before = descriptors(pid);
    probe(target, frozen_after);  // what the first request of all costs is not counted
    const long memory_before = status_number(pid, "VmRSS");

    asio::io_context io;
    std::list<asio::ip::tcp::socket> sockets;
    asio::error_code error;
    while (sockets.size() < connections && !error) {
        sockets.emplace_back(io).connect(target.endpoint(), error);
    }
    // Until the server has accepted them all, or has accepted no more for a second.
    std::ptrdiff_t held = 0;
    auto last_change = std::chrono::steady_clock::now();
    while (held < static_cast<std::ptrdiff_t>(connections) &&
           std::chrono::steady_clock::now() < last_change + 1s) {
        const std::ptrdiff_t now_held = descriptors(pid) - descriptors_before;
        if (now_held != held) {
            held = now_held;
            last_change = std::chrono::steady_clock::now();
        }
        std::this_thread::sleep_for(10ms);  // /proc can't be waited on
    }

    const long memory = (status_number(pid, "VmRSS") - memory_before) * 1024;
    const auto answered = probe(target, frozen_after);
    fmt::print("{} of {} connections held, {} threads, {} bytes of memory each, probe {}\n", held,
               connections, status_number(pid, "Threads"),
               memory / std::max<std::ptrdiff_t>(held, 1), in_words(answered, frozen_after));
}
