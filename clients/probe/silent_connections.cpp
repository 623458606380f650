#include "clients/probe/silent_connections.hpp"

#include <algorithm>
#include <asio.hpp>
#include <cstdint>
#include <list>

#include "clients/probe/course.hpp"

namespace unfreeze {

SilentConnections open_silent_connections(ServerProcess& server, std::size_t connections) {
    const Target& target = server.target();
    const pid_t pid = server.process().pid();
    const std::ptrdiff_t descriptors_before = descriptors(pid);
    probe(target, frozen_after);  // allocates what the first request needs
    const long kib_before = status_number(pid, "VmRSS");

    asio::io_context io;
    std::list<asio::ip::tcp::socket> sockets;
    asio::error_code error;
    while (sockets.size() < connections && !error) {
        // The kernel has 28,000 ephemeral ports per address, and loopback has many addresses.
        const auto other = static_cast<std::uint32_t>(sockets.size() / 20'000);
        asio::ip::tcp::socket& socket = sockets.emplace_back(io);
        open_socket(socket, target);
        if (other > 0) {
            const auto loopback = asio::ip::address_v4::loopback().to_uint();
            socket.bind({asio::ip::address_v4{loopback + other}, 0});
        }
        socket.connect(target.endpoint(), error);
    }
    SilentConnections silent;
    silent.connections = wait_for([&] { return descriptors(pid) - descriptors_before; },
                                  static_cast<std::ptrdiff_t>(connections));
    silent.threads = status_number(pid, "Threads");
    silent.kb_each = static_cast<double>(status_number(pid, "VmRSS") - kib_before) * 1.024 /
                     static_cast<double>(std::max<std::ptrdiff_t>(silent.connections, 1));
    silent.probe = probe(target, frozen_after);
    return silent;
}

}  // namespace unfreeze
