// Connects real netcats that send nothing, and probes the server before, during and after.
#include <fmt/format.h>

#include <cstdio>
#include <list>
#include <optional>
#include <system_error>

#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/server_options.hpp"
#include "common/csv.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;
using namespace std::chrono_literals;

void print_probe(const char* when, const Target& target) {
    const auto response_time = probe(target, frozen_after);
    fmt::print("probe {}: {}, {}\n", when, response_time ? "ALIVE" : "FROZEN",
               in_words(response_time, frozen_after));
    std::fflush(stdout);
}

/// Starts netcats and waits until each has connected. They stay connected while the list lives.
void connect_netcats(std::list<Process>& netcats, std::size_t count, const Target& target) {
    while (netcats.size() < count) {
        netcats.emplace_back(Command{"nc", fmt::format("-v {} {}", target.host, target.port)}.with(
            Output::kept_with_errors));
        if (!netcats.back().wait_for_output("succeeded")) {
            const std::string output = netcats.back().output();
            fail(fmt::format("netcat {} of {} did not connect: {}", netcats.size(), count,
                             output.empty() ? "its connection is waiting in the backlog" : output));
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    ServerOptions options;
    std::size_t clients = 20;
    CommandLine command_line{
        "Connects silent netcats, and tests whether the server still answers."};
    add_server_options(command_line, options);
    command_line.add("--clients", clients, 1, 1'000, "number of netcats");
    command_line.parse(argc, argv);

    raise_descriptor_limit();
    std::optional<ServerProcess> spawned;
    const Target target = find_server(options, spawned);
    print_probe("before       ", target);
    try {
        std::list<Process> netcats;
        connect_netcats(netcats, clients, target);
        fmt::print("{} netcats have connected to {} and say nothing\n", clients, target.name());
        print_probe("beside them  ", target);
    } catch (const std::system_error& error) {
        fail(fmt::format("can't start another netcat: {}", error.what()));
    }
    fmt::print("the netcats have left\n");
    print_probe("after        ", target);
    finish_output();
}
