// Tests your own server against the claims of the course, stage by stage, and prints which stage it
// has reached.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <system_error>

#include "clients/claims/trial.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/server_options.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;

/// The stage whose server first has to meet the goal of the claim: for a defect, the stage that
/// fixes it, or nothing if no stage does.
std::optional<std::size_t> due_in(const Claim& claim) {
    if (!claim.traits.defect) {
        return claim.first_stage;
    }
    return claim.last_stage < last_stage ? std::optional{claim.last_stage + 1} : std::nullopt;
}

/// Nothing if the claim would end a server that `check` has not started.
std::optional<Trial> try_it(const Claim& claim, const ServerOptions& options) {
    if (options.spawn.empty()) {
        std::optional<ServerProcess> none;
        const Target target = find_server(options, none);
        return claim.traits.ends_the_server
                   ? std::nullopt
                   : std::optional{Trial{&claim, claim.experiment(target)}};
    }
    try {
        return try_claim(claim, options.spawn);
    } catch (const std::system_error& error) {
        fail(error.what());  // a shortage of this program
    } catch (const std::exception& error) {
        fail(fmt::format("no server from '{}': {}", options.spawn, error.what()));
    }
}

struct Tally {
    std::size_t tested = 0;
    std::size_t passed = 0;
};

/// Tests the claims that are due in a stage. False unless all of them passed that could be tested,
/// and at least one could.
bool check_stage(std::size_t stage, const ServerOptions& options, Tally& tally) {
    bool reached = true;
    bool skipped = false;
    const std::size_t tested_before = tally.tested;
    fmt::print("stage {}\n", stage);
    for (const Claim& claim : all_claims()) {
        if (due_in(claim) != stage) {
            continue;
        }
        const std::optional<Trial> trial = try_it(claim, options);
        if (!trial) {
            skipped = true;
            fmt::print("SKIP  {}: this would end your server (see --spawn)\n", claim.goal);
            continue;
        }
        const bool passes = trial->finding.holds != claim.traits.defect && !trial->crashed();
        ++tally.tested;
        tally.passed += passes ? 1 : 0;
        reached = reached && passes;
        if (passes) {
            fmt::print("PASS  {}\n", claim.goal);
        } else {
            fmt::print("FAIL  {}: expected {}, got {}{}\n", claim.goal, claim.expected,
                       trial->finding.figure, trial->crashed() ? ", and the server exited" : "");
        }
        std::fflush(stdout);
    }
    return reached && !(skipped && tally.tested == tested_before);
}

}  // namespace

int main(int argc, char** argv) {
    ServerOptions options;
    std::size_t wanted = last_stage;
    CommandLine command_line{
        "Tests your server against the claims of stages 1 to N, and prints which stage it has "
        "reached."};
    command_line.add("stage", wanted, 1, last_stage, "N, the stage that your server should be at");
    add_server_options(command_line, options);
    command_line.parse(argc, argv);

    raise_descriptor_limit();
    Tally tally;
    std::size_t first_failing = wanted + 1;
    for (std::size_t stage = 1; stage <= wanted; ++stage) {
        if (!check_stage(stage, options, tally)) {
            first_failing = std::min(first_failing, stage);
        }
    }
    fmt::print("{} of {} claims passed: your server has reached stage {}", tally.passed,
               tally.tested, first_failing - 1);
    if (first_failing <= wanted) {
        fmt::print(", not {}; read docs/stage{:02}.md", wanted, first_failing);
    }
    fmt::print("\n");
    finish_output();
    return first_failing > wanted ? 0 : 1;
}
