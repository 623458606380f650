#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace unfreeze {

/// A TCP socket that a process listens on.
struct ListeningSocket {
    pid_t pid = 0;
    std::uint16_t port = 0;
    std::string address;  // "127.0.0.1", "0.0.0.0", "[::]"
};

/// The listening sockets of a process, of its descendants, and of the other processes of its group,
/// as /proc shows them. If a process has inherited a socket, only its first holder is returned.
[[nodiscard]] std::vector<ListeningSocket> listening_sockets(pid_t root);

/// The process among them that listens on this port, or nothing if /proc shows none: it may belong
/// to another user, or run in a container.
[[nodiscard]] std::optional<pid_t> listening_process(pid_t root, std::uint16_t port);

}  // namespace unfreeze
