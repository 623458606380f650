#include "clients/probe/server_options.hpp"

#include <fmt/format.h>

#include <exception>

#include "clients/probe/connection.hpp"
#include "common/log.hpp"

namespace unfreeze {

void add_server_options(CommandLine& command_line, ServerOptions& options) {
    command_line.add("--server", options.server, "HOST:PORT of a running server");
    command_line.add("--spawn", options.spawn,
                     "command that starts the server, which is stopped at the end; {port} becomes "
                     "a free port");
}

Target parse_server_flag(const std::string& server) {
    const std::optional<Target> target = parse_target(server);
    if (!target) {
        fail(fmt::format("--server: '{}' is not HOST:PORT, such as 127.0.0.1:8080", server));
    }
    return *target;
}

Target find_server(const ServerOptions& options, std::optional<ServerProcess>& spawned) {
    if (!options.spawn.empty()) {
        try {
            return spawned.emplace(options.spawn).target();
        } catch (const std::exception& error) {
            fail(fmt::format("no server from '{}': {}", options.spawn, error.what()));
        }
    }
    const Target target = parse_server_flag(options.server);
    if (!Connection{target}.connected()) {
        fail(fmt::format("no server at {}: start one, or let --spawn start it", target.name()));
    }
    return target;
}

}  // namespace unfreeze
