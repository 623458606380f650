#include "clients/claims/stage_client.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <list>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "clients/claims/claims.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/json.hpp"
#include "clients/probe/overload.hpp"
#include "clients/probe/server_options.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/log.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;

struct Options {
    ServerOptions server;
    bool json = false;
    bool until_done = false;
    bool sweep = true;
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
    if (client.overloads) {
        command_line.add("--until-done", options.until_done,
                         "wait after the load until all that was accepted has been worked on, and "
                         "check no claims");
    }
    if (client.sweeps_workers) {
        command_line.add("!--no-sweep", options.sweep,
                         "don't try it with 1 to 64 workers, as --json and --until-done don't");
    }
    command_line.add("--json", options.json, "print one JSON object instead of text");
    command_line.parse(argc, argv);
    load.progress = !options.json && isatty(STDERR_FILENO) != 0;
    return options;
}

/// A load, and what the server had done of it when it ended.
struct Outcome {
    LoadReport load;
    std::optional<std::int64_t> done = {};  // events worked on, where the server tells balances
    std::optional<std::chrono::duration<double>> rest =
        {};                      // what the others then took, in seconds
    long memory_kib_before = 0;  // the server's, where it was started here
    long memory_kib_after = 0;
};

std::string to_text(const Outcome& outcome) {
    const auto mb = [](long kib) { return static_cast<double>(kib) / 1024; };
    std::string text = to_text(outcome.load);
    if (outcome.done) {
        text += fmt::format("  worked on {} in {:.2f} s, {} accepted and waiting\n", *outcome.done,
                            std::chrono::duration<double>(outcome.load.duration).count(),
                            static_cast<std::int64_t>(outcome.load.accepted) - *outcome.done);
    }
    if (outcome.rest) {
        text += fmt::format("  the last of these was done {:.2f} s later\n", outcome.rest->count());
    }
    if (outcome.memory_kib_after > 0) {
        text += fmt::format("  the server's memory {:.1f} MB before, {:.1f} MB after\n",
                            mb(outcome.memory_kib_before), mb(outcome.memory_kib_after));
    }
    return text;
}

/// One run of a stage's client.
class StageRun {
public:
    StageRun(StageClient client, Options options)
        : client_{std::move(client)}, options_{std::move(options)} {
        raise_descriptor_limit();
        target_ = find_server(options_.server, spawned_);
    }

    /// The exit status.
    int run() {
        const std::size_t concurrency = client_.load.concurrency;
        if (client_.first_concurrency > 0) {
            put_load(client_.first_concurrency);
        }
        const LoadReport load = put_load(concurrency);
        if (!client_.other_run.server_flags.empty() && spawned_) {
            put_other_load();
        }
        if (client_.sweeps_workers && options_.sweep && spawned_ && !options_.json &&
            !options_.until_done) {
            sweep_workers();
        }
        std::string claims_json;
        if (!options_.until_done) {
            if (client_.overloads) {
                leave_the_queue_behind();
            }
            claims_json = check_claims();
        }
        const bool as_taught = claims_as_taught_ && failed_ == 0;
        if (options_.json) {
            fmt::print("{}\n", JsonObject{}
                                   .add("stage", client_.stage)
                                   .add("as_taught", as_taught)
                                   .add_json("load", to_json(load))
                                   .add_json("claims", fmt::format("[{}]", claims_json))
                                   .text());
        }
        if (failed_ > 0) {
            say(fmt::format(
                "{} of {} requests were not {}\n", failed_, asked_,
                client_.overloads ? "answered, or accepted and not worked on" : "accepted"));
        }
        if (!options_.until_done) {
            say(fmt::format("verdict: {} for stage {}\n", as_taught ? "as taught" : "NOT AS TAUGHT",
                            client_.stage));
        }
        return as_taught ? 0 : 1;
    }

private:
    LoadReport put_load(std::size_t concurrency) {
        LoadOptions load = client_.load;
        load.concurrency = concurrency;
        Account account{target_, client_.users};
        if (client_.stage >= 4) {
            load.body = [&](std::size_t n) { return account.event(1, n); };
        }
        say(fmt::format("load on {}: {} requests, {} at a time, {}{}{}\n", target_.name(),
                        load.requests, load.concurrency,
                        load.keep_alive ? "connections kept" : "a connection each",
                        load.rate == 0 ? "" : fmt::format(", {} offered a second", load.rate),
                        client_.silent_clients == 0
                            ? ""
                            : fmt::format(", beside {} silent clients", client_.silent_clients)));
        std::list<Connection> silent;
        while (silent.size() < client_.silent_clients) {
            silent.emplace_back(target_);
        }
        Outcome outcome;
        outcome.memory_kib_before = memory_kib();
        outcome.load = run_load(target_, load);
        outcome.memory_kib_after = memory_kib();
        if (client_.overloads) {
            outcome.done = account.balance();
        }
        const LoadReport& report = outcome.load;
        const auto accepted = static_cast<std::int64_t>(report.accepted);
        asked_ += load.requests;
        failed_ += load.requests - report.accepted - (client_.overloads ? report.rejected : 0);
        if (options_.until_done) {
            const auto start = std::chrono::steady_clock::now();
            const std::int64_t done = account.wait_for(accepted, 10min).value_or(0);
            failed_ += static_cast<std::uint64_t>(std::max<std::int64_t>(accepted - done, 0));
            if (done == accepted) {
                outcome.rest = std::chrono::steady_clock::now() - start;
            }
        }
        say(to_text(outcome));
        if (!client_.beside.empty()) {
            say(fmt::format("  {}\n", client_.beside));
        }
        return outcome.load;
    }

    void put_other_load() {
        ServerOptions server = options_.server;
        server.spawn += fmt::format(" {}", client_.other_run.server_flags);
        try {
            target_ = spawned_.emplace(server.spawn).target();
        } catch (const std::runtime_error& error) {
            say(fmt::format("not run with {}: {}\n", client_.other_run.server_flags, error.what()));
            target_ = find_server(options_.server, spawned_);
            return;
        }
        say(fmt::format("the server with {}\n", client_.other_run.server_flags));
        client_.load.rate = client_.other_run.rate;
        client_.beside = client_.other_run.beside;
        put_load(client_.load.concurrency);
    }

    /// A short queue and a short span: to see the curve, and not its last digit.
    void sweep_workers() {
        say("workers   jobs a second   mean wait for the lock\n");
        for (const int workers : {1, 2, 4, 8, 11, 16, 32, 64}) {
            try {
                const OverloadReport report =
                    measure_overload({.command = fmt::format("{} --queue-capacity 20 --workers {}",
                                                             options_.server.spawn, workers),
                                      .span = 1s});
                say(fmt::format(
                    "{:>7}   {:>13.0f}   {:>19.0f} ms\n", workers, report.jobs_per_second,
                    std::chrono::duration<double, std::milli>{report.wait.mean()}.count()));
            } catch (const std::runtime_error& error) {
                say(fmt::format("no figures of this server: {}\n", error.what()));
                return;
            }
        }
    }

    /// What an overloaded server has accepted would be in the claims' way.
    void leave_the_queue_behind() {
        if (spawned_) {
            target_ = find_server(options_.server, spawned_);  // a fresh one
        } else {
            say("waiting until the server has worked off its queue\n");
            if (!wait_until_idle(target_, 10min)) {
                say("it has not in 10 minutes, or tells no balances: the claims may suffer\n");
            }
        }
    }

    std::string check_claims() {
        say("claims\n");
        std::string json;
        for (const std::string_view name : client_.claims) {
            const Claim& tested = claim(name);
            if (tested.traits.ends_the_server && !spawned_) {
                say(fmt::format("  {:<52}not tried: it ends the server (see --spawn)\n",
                                tested.sentence));
                continue;
            }
            const Finding finding = tested.experiment(target_);
            const bool expected = finding.holds == tested.holds_in(client_.stage);
            claims_as_taught_ = claims_as_taught_ && expected;
            say(fmt::format("  {:<52}{:<5}{}   {}\n", tested.sentence,
                            finding.holds ? "yes," : "no,",
                            expected ? "as taught" : "NOT AS TAUGHT: it is true " + tested.range(),
                            finding.figure));
            json += json.empty() ? "" : ",";
            json += JsonObject{}
                        .add("name", name)
                        .add("holds", finding.holds)
                        .add("as_taught", expected)
                        .add("figure", finding.figure)
                        .text();
        }
        return json;
    }

    long memory_kib() {
        return client_.overloads && spawned_ ? status_number(spawned_->process().pid(), "VmRSS")
                                             : 0;
    }

    void say(const std::string& text) const {
        if (!options_.json) {
            fmt::print("{}", text);
            std::fflush(stdout);
        }
    }

    StageClient client_;
    Options options_;
    std::optional<ServerProcess> spawned_;
    Target target_;
    bool claims_as_taught_ = true;
    std::uint64_t asked_ = 0;   // requests of all loads ...
    std::uint64_t failed_ = 0;  // ... and those that did not come out as they should
};

}  // namespace

int run_stage_client(int argc, char** argv, StageClient client) {
    Options options = parse_options(argc, argv, client);
    try {
        const int status = StageRun{std::move(client), std::move(options)}.run();
        finish_output();
        return status;
    } catch (const std::system_error& error) {
        fail(error.what());  // what this program lacks
    }
}

}  // namespace unfreeze
