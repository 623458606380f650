#include "clients/stage_client.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>
#include <list>
#include <optional>
#include <string>

#include "clients/claims.hpp"
#include "clients/connection.hpp"
#include "clients/server_options.hpp"
#include "common/command_line.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;

struct Options {
    ServerOptions server;
    bool json = false;
};

Options parse_options(int argc, char** argv, StageClient& client) {
    Options options;
    LoadOptions& load = client.load;
    CommandLine command_line{
        fmt::format("The client of stage {0}: puts load on a server, then checks what stage {0} "
                    "teaches.",
                    client.stage)};
    add_server_options(command_line, options.server);
    command_line.add("--requests", load.requests, 1, 100'000'000, "requests in all");
    command_line.add("--concurrency", load.concurrency, 1, 20'000, "requests at a time");
    command_line.add("--rate", load.rate, 0, 1'000'000,
                     "requests offered a second; 0 sends the next as soon as one is answered");
    command_line.add("--keep-alive,!--connection-each", load.keep_alive,
                     "whether a connection carries many requests or one");
    command_line.add("--timeout-ms", load.timeout_ms, 1ms, 1h, "patience for one answer");
    command_line.add("--json", options.json, "print one JSON object instead of text");
    command_line.parse(argc, argv);
    load.progress = !options.json && isatty(STDERR_FILENO) != 0;
    return options;
}

}  // namespace

int run_stage_client(int argc, char** argv, StageClient client) {
    const Options options = parse_options(argc, argv, client);
    std::optional<ServerProcess> spawned;
    raise_descriptor_limit();
    const Target target = find_server(options.server, spawned);
    const auto say = [&](const std::string& text) {
        if (!options.json) {
            fmt::print("{}", text);
            std::fflush(stdout);
        }
    };

    say(fmt::format("load on {}: {} requests, {} at a time, {}{}\n", target.name(),
                    client.load.requests, client.load.concurrency,
                    client.load.keep_alive ? "connections kept" : "a connection each",
                    client.silent_clients == 0
                        ? ""
                        : fmt::format(", beside {} silent clients", client.silent_clients)));
    LoadReport load;
    {
        std::list<Connection> silent;
        while (silent.size() < client.silent_clients) {
            silent.emplace_back(target);
        }
        load = run_load(target, client.load);
    }
    say(to_text(load));

    say("claims\n");
    bool as_taught = load.accepted == client.load.requests;
    std::string claims_json;
    for (const std::string_view name : client.claims) {
        const Claim& tested = claim(name);
        const Finding finding = tested.experiment(target);
        const bool expected = finding.holds == tested.holds_in(client.stage);
        as_taught = as_taught && expected;
        say(fmt::format("  {:<52}{:<5}{}   {}\n", tested.sentence, finding.holds ? "yes," : "no,",
                        expected ? "as taught" : "NOT AS TAUGHT: it is true " + tested.range(),
                        finding.figure));
        fmt::format_to(std::back_inserter(claims_json),
                       R"({}{{"name":"{}","holds":{},"as_taught":{},"figure":"{}"}})",
                       claims_json.empty() ? "" : ",", name, finding.holds, expected,
                       finding.figure);
    }
    if (options.json) {
        fmt::print(R"({{"stage":{},"as_taught":{},"load":{},"claims":[{}]}})"
                   "\n",
                   client.stage, as_taught, to_json(load), claims_json);
    }
    say(load.accepted == client.load.requests
            ? ""
            : fmt::format("{} of {} requests were not accepted\n",
                          client.load.requests - load.accepted, client.load.requests));
    say(fmt::format("verdict: {} for stage {}\n", as_taught ? "as taught" : "NOT AS TAUGHT",
                    client.stage));
    return as_taught ? 0 : 1;
}

}  // namespace unfreeze
