#pragma once

#include <optional>
#include <string>

#include "clients/probe/process.hpp"
#include "clients/probe/target.hpp"
#include "common/command_line.hpp"

namespace unfreeze {

/// The server that a client tests: a running one, or one that the client starts.
struct ServerOptions {
    std::string server = "127.0.0.1:8080";
    std::string spawn;  // a command; if it is not empty, it is used instead of `server`
};

void add_server_options(CommandLine& command_line, ServerOptions& options);

/// Reads the value of --server. If it is not HOST:PORT, prints an error and exits with 2.
[[nodiscard]] Target parse_server_flag(const std::string& server);

/// Returns the running server, or starts one that runs as long as `spawned` lives. If there is
/// none, prints an error and exits with 2.
[[nodiscard]] Target find_server(const ServerOptions& options,
                                 std::optional<ServerProcess>& spawned);

}  // namespace unfreeze
