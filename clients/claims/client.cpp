// Puts load on a stage's server, then checks the claims that the stage is about. From stage 4 on
// the events of a load are for its own users, whose balances show how many have been processed.
// Exits with 0 if each claim came out as expected and no request failed, with 1 if not, and with 2
// without a server.
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
#include "clients/claims/stage_loads.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/overload.hpp"
#include "clients/probe/server_options.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/json.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;
using namespace std::chrono_literals;

struct Options {
    std::size_t stage = 0;
    StageLoad stage_load;
    ServerOptions server;
    bool json = false;
    bool until_done = false;
    bool sweep = true;
};

/// The flags and their defaults depend on the stage, so the stage has to be the first argument.
Options parse_options(int argc, char** argv) {
    CommandLine command_line{
        "Puts load on a server, then checks the claims that a stage is about. The stage decides "
        "the defaults, and whether there are more flags: see client N --help."};
    const std::string_view first = argc > 1 ? argv[1] : "";
    Options options;
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        options.stage = first == std::to_string(stage) ? stage : options.stage;
    }
    if (options.stage == 0 && first != "--help" && first != "-h") {
        fail(
            fmt::format("expected a stage from 1 to {} as the first argument, got '{}' "
                        "(see --help)",
                        last_stage, first));
    }
    options.stage_load = stage_loads.at(std::max<std::size_t>(options.stage, 1) - 1);
    LoadOptions& load = options.stage_load.load;
    command_line.add("stage", options.stage, 1, last_stage, "the stage; comes first");
    add_server_options(command_line, options.server);
    command_line.add("--requests", load.requests, 1, 100'000'000, "requests in all");
    command_line.add("--concurrency", load.concurrency, 1, 20'000, "requests in flight at a time");
    command_line.add("--rate", load.rate, 0, 1'000'000,
                     "requests offered a second; 0 sends the next one after each response");
    command_line.add("--keep-alive,!--connection-each", load.keep_alive,
                     "whether a connection carries many requests or one");
    command_line.add("--timeout-ms", load.timeout_ms, 1ms, 1h, "timeout of one request");
    if (options.stage_load.overloads) {
        command_line.add("--until-done", options.until_done,
                         "after the load, wait until all accepted events have been processed, and "
                         "check no claims");
    }
    if (options.stage_load.sweeps_workers) {
        command_line.add("!--no-sweep", options.sweep,
                         "don't measure 1 to 64 workers; --json and --until-done imply it");
    }
    command_line.add("--json", options.json, "print one JSON object instead of text");
    command_line.parse(argc, argv);
    load.progress = !options.json && isatty(STDERR_FILENO) != 0;
    return options;
}

/// A load, and how much of it the server had processed when the load ended.
struct Outcome {
    LoadReport load;
    std::optional<std::int64_t> done = {};  // events processed, if the server has balances
    std::optional<std::chrono::duration<double>> rest = {};  // time for the others, in seconds
    long memory_kib_before = 0;                              // of a server that the client started
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

class Client {
public:
    explicit Client(Options options)
        : options_{std::move(options)}, stage_load_{options_.stage_load} {
        raise_descriptor_limit();
        target_ = find_server(options_.server, spawned_);
    }

    /// Returns the exit status.
    int run() {
        if (stage_load_.first_concurrency > 0) {
            put_load(stage_load_.first_concurrency);
        }
        const LoadReport load = put_load(stage_load_.load.concurrency);
        if (!stage_load_.second_run.server_flags.empty() && spawned_) {
            put_second_load();
        }
        if (stage_load_.sweeps_workers && options_.sweep && spawned_ && !options_.json &&
            !options_.until_done) {
            sweep_workers();
        }
        std::string claims_json;
        if (!options_.until_done) {
            if (stage_load_.overloads) {
                await_empty_queue();
            }
            claims_json = check_claims();
        }
        const bool as_expected = claims_as_expected_ && failed_ == 0;
        if (options_.json) {
            fmt::print("{}\n", JsonObject{}
                                   .add("stage", options_.stage)
                                   .add("as_expected", as_expected)
                                   .add_json("load", to_json(load))
                                   .add_json("claims", fmt::format("[{}]", claims_json))
                                   .text());
        }
        if (failed_ > 0) {
            say(fmt::format("{} of {} requests were not {}\n", failed_, sent_,
                            stage_load_.overloads ? "answered, or were accepted but not processed"
                                                  : "accepted"));
        }
        if (!options_.until_done) {
            say(fmt::format("verdict: {} for stage {}\n",
                            as_expected ? "as expected" : "NOT AS EXPECTED", options_.stage));
        }
        return as_expected ? 0 : 1;
    }

private:
    LoadReport put_load(std::size_t concurrency) {
        LoadOptions load = stage_load_.load;
        load.concurrency = concurrency;
        Account account{target_, stage_load_.users};
        if (options_.stage >= 4) {
            load.body = [&](std::size_t n) { return account.event(1, n); };
        }
        say(fmt::format(
            "load on {}: {} requests, {} at a time, {}{}{}\n", target_.name(), load.requests,
            load.concurrency, load.keep_alive ? "connections kept" : "a connection each",
            load.rate == 0 ? "" : fmt::format(", {} offered a second", load.rate),
            stage_load_.idle_connections == 0
                ? ""
                : fmt::format(", with {} idle connections", stage_load_.idle_connections)));
        std::list<Connection> idle;
        while (idle.size() < stage_load_.idle_connections) {
            idle.emplace_back(target_);
        }
        Outcome outcome;
        outcome.memory_kib_before = memory_kib();
        outcome.load = run_load(target_, load);
        outcome.memory_kib_after = memory_kib();
        if (stage_load_.overloads) {
            outcome.done = account.balance();
        }
        const LoadReport& report = outcome.load;
        const auto accepted = static_cast<std::int64_t>(report.accepted);
        sent_ += load.requests;
        failed_ += load.requests - report.accepted - (stage_load_.overloads ? report.rejected : 0);
        if (options_.until_done) {
            say(fmt::format("  waiting until the {} accepted events have been processed\n",
                            accepted));
            std::fflush(stdout);
            const auto start = std::chrono::steady_clock::now();
            const std::int64_t done = account.wait_for(accepted, 10min).value_or(0);
            failed_ += static_cast<std::uint64_t>(std::max<std::int64_t>(accepted - done, 0));
            if (done == accepted) {
                outcome.rest = std::chrono::steady_clock::now() - start;
            }
        }
        say(to_text(outcome));
        if (!stage_load_.reference.empty()) {
            say(fmt::format("  {}\n", stage_load_.reference));
        }
        return outcome.load;
    }

    void put_second_load() {
        ServerOptions server = options_.server;
        server.spawn += fmt::format(" {}", stage_load_.second_run.server_flags);
        try {
            target_ = spawned_.emplace(server.spawn).target();
        } catch (const std::runtime_error& error) {
            say(fmt::format("not measured with {}: {}\n", stage_load_.second_run.server_flags,
                            error.what()));
            target_ = find_server(options_.server, spawned_);
            return;
        }
        say(fmt::format("the server with {}\n", stage_load_.second_run.server_flags));
        stage_load_.load.rate = stage_load_.second_run.rate;
        stage_load_.reference = stage_load_.second_run.reference;
        put_load(stage_load_.load.concurrency);
    }

    /// The queue and the time are short: they show the shape of the curve, not exact figures.
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
                say(fmt::format("this server can't be measured: {}\n", error.what()));
                return;
            }
        }
    }

    /// The claims would otherwise wait for the events that the overloaded server has accepted.
    void await_empty_queue() {
        if (spawned_) {
            target_ = find_server(options_.server, spawned_);  // a fresh one
        } else {
            say("waiting until the server has emptied its queue\n");
            if (!wait_until_idle(target_, 10min)) {
                say("the queue is not empty after 10 minutes, or the server has no balances: the "
                    "claims may have wrong results\n");
            }
        }
    }

    std::string check_claims() {
        say("claims\n");
        std::string json;
        for (const std::string_view name : stage_load_.claims) {
            const Claim& tested = claim(name);
            if (tested.traits.ends_the_server && !spawned_) {
                say(fmt::format("  {:<52}skipped: this would end the server (see --spawn)\n",
                                tested.sentence));
                continue;
            }
            const Finding finding = tested.experiment(target_);
            const bool expected = finding.holds == tested.holds_in(options_.stage);
            claims_as_expected_ = claims_as_expected_ && expected;
            say(fmt::format(
                "  {:<52}{:<5}{}   {}\n", tested.sentence, finding.holds ? "yes," : "no,",
                expected ? "as expected" : "NOT AS EXPECTED: it is true " + tested.range(),
                finding.figure));
            json += json.empty() ? "" : ",";
            json += JsonObject{}
                        .add("name", name)
                        .add("holds", finding.holds)
                        .add("as_expected", expected)
                        .add("figure", finding.figure)
                        .text();
        }
        return json;
    }

    long memory_kib() {
        return stage_load_.overloads && spawned_ ? status_number(spawned_->process().pid(), "VmRSS")
                                                 : 0;
    }

    void say(const std::string& text) const {
        if (!options_.json) {
            fmt::print("{}", text);
            std::fflush(stdout);
        }
    }

    Options options_;
    StageLoad& stage_load_;
    std::optional<ServerProcess> spawned_;
    Target target_;
    bool claims_as_expected_ = true;
    std::uint64_t sent_ = 0;    // requests of all loads
    std::uint64_t failed_ = 0;  // of these
};

}  // namespace

int main(int argc, char** argv) {
    Options options = parse_options(argc, argv);
    try {
        const int status = Client{std::move(options)}.run();
        finish_output();
        return status;
    } catch (const std::system_error& error) {
        fail(error.what());  // a shortage of this program
    }
}
