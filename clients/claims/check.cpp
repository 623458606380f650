// Puts somebody's own server to the claims of this course, stage by stage, and says how far it has
// come.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "clients/claims/trial.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/server_options.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;

/// The stage that brings what the claim says, or that ends it where it is a weakness; nothing where
/// no stage does.
std::optional<std::size_t> due_in(const Claim& claim) {
    if (!claim.traits.defect) {
        return claim.first_stage;
    }
    return claim.last_stage < last_stage ? std::optional{claim.last_stage + 1} : std::nullopt;
}

/// Nothing where it would end a server that runs.
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
        fail(error.what());  // what this program lacks
    } catch (const std::exception& error) {
        fail(fmt::format("no server from '{}': {}", options.spawn, error.what()));
    }
}

/// Tries what is due in one stage, and gives what did not come out as it should. A stage of which
/// nothing could be tried is not reached either.
std::vector<std::string> check_stage(std::size_t stage, const ServerOptions& options) {
    std::vector<std::string> failures;
    bool tried = false;
    bool left_out = false;
    fmt::print("stage {}\n", stage);
    for (const Claim& claim : all_claims()) {
        if (due_in(claim) != stage) {
            continue;
        }
        const auto trial = try_it(claim, options);
        if (!trial) {
            left_out = true;
            fmt::print("  {:<52}not tried: it ends the server (see --spawn)\n", claim.sentence);
            continue;
        }
        tried = true;
        const Finding& finding = trial->finding;
        const bool expected = !claim.traits.defect;
        const bool good = finding.holds == expected && !trial->crashed();
        const std::string found =
            trial->crashed() ? finding.figure + ", and the server ended" : finding.figure;
        fmt::print("  {:<52}{:<5}{}   {}\n", claim.sentence, finding.holds ? "yes," : "no,",
                   good ? "good    " : "NOT GOOD", found);
        std::fflush(stdout);
        if (!good) {
            failures.push_back(fmt::format("{} (`{}`): expected {}, found {}: {}", claim.sentence,
                                           claim.name, expected ? "yes" : "no",
                                           finding.holds ? "yes" : "no", found));
        }
    }
    if (left_out && !tried) {
        failures.push_back(fmt::format("stage {}: nothing was tried", stage));
    }
    return failures;
}

}  // namespace

int main(int argc, char** argv) {
    ServerOptions options;
    std::size_t wanted = last_stage;
    CommandLine command_line{
        "Puts your server to the claims of stages 1 to N, and says which stage it has reached."};
    command_line.add("stage", wanted, 1, last_stage, "N, the stage that your server should be at");
    add_server_options(command_line, options);
    command_line.parse(argc, argv);

    raise_descriptor_limit();
    std::size_t first_failing = wanted + 1;
    std::vector<std::string> failures;
    for (std::size_t stage = 1; stage <= wanted; ++stage) {
        const std::vector<std::string> more = check_stage(stage, options);
        failures.insert(failures.end(), more.begin(), more.end());
        first_failing = more.empty() ? first_failing : std::min(first_failing, stage);
    }
    if (failures.empty()) {
        fmt::print("verdict: your server has reached stage {}\n", wanted);
        finish_output();
        return 0;
    }
    fmt::print("{}\nverdict: your server has reached stage {}, not {}; read docs/stage{:02}.md\n",
               fmt::join(failures, "\n"), first_failing - 1, wanted, first_failing);
    finish_output();
    return 1;
}
