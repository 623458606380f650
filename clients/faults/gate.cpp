// A fault-injecting TCP proxy between clients and a server.
#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "clients/faults/fault_proxy.hpp"
#include "clients/probe/choice.hpp"
#include "clients/probe/process.hpp"
#include "clients/probe/server_options.hpp"
#include "common/command_line.hpp"

namespace {

using namespace unfreeze;

struct NamedFault {
    std::string_view name;
    Fault fault;
    std::string_view effect;
};
constexpr std::array<NamedFault, 8> faults{{
    {"pass", Fault::pass, "none"},
    {"split", Fault::split, "each byte of a request is written separately"},
    {"join", Fault::join, "request bytes that arrive within --join-ms are written at once"},
    {"delay", Fault::delay, "in both directions, bytes are forwarded --delay-ms late"},
    {"throttle", Fault::throttle, "in both directions, at most --bytes-per-second"},
    {"reset", Fault::reset, "after --after-bytes of requests, both connections are reset"},
    {"half-close", Fault::half_close,
     "after --after-bytes of requests, the server receives an end of stream; responses still pass"},
    {"corrupt", Fault::corrupt, "one request byte in --every-bytes is changed"},
}};

}  // namespace

int main(int argc, char** argv) {
    FaultProxyOptions options;
    std::string fault;
    std::string server = options.server.name();
    std::string list = "the fault to inject:";
    for (const NamedFault& named : faults) {
        list += fmt::format("\n{}: {}", named.name, named.effect);
    }
    CommandLine command_line{
        "Forwards bytes between clients and a server, and injects the faults of a network."};
    command_line.add("fault", fault, list);
    command_line.add("--server", server, "HOST:PORT of the server");
    add_options(command_line, options.listen);
    command_line.add("--join-ms", options.join_ms, "join: how long to gather bytes");
    command_line.add("--delay-ms", options.delay_ms, "delay: how long to hold back each piece");
    command_line.add("--bytes-per-second", options.bytes_per_second, 1, 1'000'000'000,
                     "throttle: rate in each direction of each connection");
    command_line.add("--after-bytes", options.after_bytes, 0, 1'000'000'000,
                     "reset, half-close: request bytes of each connection that pass before it");
    command_line.add("--every-bytes", options.every_bytes, 1, 1'000'000'000,
                     "corrupt: change one byte in each block of this size");
    command_line.add("--seed", options.seed, 0, 1'000'000'000,
                     "corrupt: chooses the bytes and their new values; repeatable");
    command_line.parse(argc, argv);
    options.fault = choose("fault", fault, faults).fault;
    options.server = parse_server_flag(server);

    raise_descriptor_limit();
    asio::io_context io{1};
    FaultProxy proxy{io, options};
    io.run();
}
