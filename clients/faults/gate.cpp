// A proxy that behaves as networks do: it stands between clients and a server, and passes bytes.
#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "clients/faults/proxy.hpp"
#include "clients/probe/choice.hpp"
#include "clients/probe/process.hpp"
#include "common/command_line.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;

struct NamedVerb {
    std::string_view name;
    Verb verb;
    std::string_view what;
};
constexpr std::array<NamedVerb, 8> verbs{{
    {"pass", Verb::pass, "nothing"},
    {"byte-by-byte", Verb::byte_by_byte, "to the server, each byte is a write of its own"},
    {"joined", Verb::joined, "to the server, what comes within --join-ms leaves in one write"},
    {"delayed", Verb::delayed, "both ways, each piece leaves --delay-ms after it came"},
    {"throttled", Verb::throttled, "both ways, --bytes-per-second pass and no more"},
    {"reset", Verb::reset, "behind --after-bytes to the server, both connections are reset"},
    {"half-closed", Verb::half_closed,
     "behind --after-bytes to the server, it is told that no more will come; answers still pass"},
    {"corrupted", Verb::corrupted, "to the server, one byte in --every-bytes is changed"},
}};

}  // namespace

int main(int argc, char** argv) {
    GateOptions options;
    std::string verb;
    std::string server = options.server.name();
    std::string list = "what becomes of the bytes:";
    for (const NamedVerb& named : verbs) {
        list += fmt::format("\n{}: {}", named.name, named.what);
    }
    CommandLine command_line{"Passes bytes between clients and a server, as a network would."};
    command_line.add("verb", verb, list);
    command_line.add("--server", server, "HOST:PORT of the server");
    add_options(command_line, options.listen);
    command_line.add("--join-ms", options.join_ms, "joined: how long bytes are gathered");
    command_line.add("--delay-ms", options.delay_ms, "delayed: by how much");
    command_line.add("--bytes-per-second", options.bytes_per_second, 1, 1'000'000'000,
                     "throttled: to how many, in each direction of each connection");
    command_line.add("--after-bytes", options.after_bytes, 0, 1'000'000'000,
                     "reset, half-closed: so many of each connection arrive");
    command_line.add("--every-bytes", options.every_bytes, 1, 1'000'000'000,
                     "corrupted: one in so many");
    command_line.add("--seed", options.seed, 0, 1'000'000'000,
                     "corrupted: which one, and into what; the same seed, the same bytes");
    command_line.parse(argc, argv);
    options.verb = choose("verb", verb, verbs).verb;
    const std::optional<Target> target = parse_target(server);
    if (!target) {
        fail(fmt::format("--server: '{}' is not HOST:PORT, such as 127.0.0.1:8080", server));
    }
    options.server = *target;

    raise_descriptor_limit();
    asio::io_context io{1};
    Gate gate{io, options};
    io.run();
}
