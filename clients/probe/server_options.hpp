#pragma once

#include <optional>
#include <string>

#include "clients/probe/process.hpp"
#include "clients/probe/target.hpp"
#include "common/command_line.hpp"

namespace unfreeze {

/// How a client is told of its server: one that runs, or one to run.
struct ServerOptions {
    std::string server = "127.0.0.1:8080";
    std::string spawn;  // a command; used instead of `server` where it is not empty
};

void add_server_options(CommandLine& command_line, ServerOptions& options);

/// The server to talk to: the one that runs, or a process that lives as long as `spawned` does.
/// Exits with 2 and a sentence where there is none.
Target find_server(const ServerOptions& options, std::optional<ServerProcess>& spawned);

}  // namespace unfreeze
