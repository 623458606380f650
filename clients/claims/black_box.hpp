#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <future>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "clients/claims/trial.hpp"
#include "clients/probe/black_box.hpp"

// For tests that check a program against the claims of the course.
namespace unfreeze {

inline std::vector<Trial> try_claims(const Command& command,
                                     const std::vector<const Claim*>& claims) {
    std::vector<Trial> trials;
    for (const Claim* claim : claims) {
        trials.push_back(try_claim(*claim, command));
    }
    return trials;
}

/// Tests a server against every claim of the course.
inline std::vector<Trial> try_all_claims(const Command& command) {
    std::vector<const Claim*> claims;
    for (const Claim& claim : all_claims()) {
        claims.push_back(&claim);
    }
    return try_claims(command, claims);
}

/// Checks that the claims hold or fail as expected in the stage, except those in `changed`, which
/// must have the opposite result.
inline void check_trials(const std::vector<Trial>& trials, std::size_t stage,
                         const std::set<std::string_view>& changed = {}) {
    for (const Trial& trial : trials) {
        const auto& [claim, finding, ended, exit_status] = trial;
        INFO(claim->sentence << ": " << finding.figure << "; expected to hold " << claim->range());
        CHECK((finding.holds == claim->holds_in(stage)) == !changed.contains(claim->name));
        CHECK(ended == claim->traits.ends_the_server);
    }
}

/// One of a stage's variants.
struct Variant {
    std::string heading;  // the first line of its patch
    Command command;
    std::set<std::string_view> changed;  // the claims that the heading names in backticks
};

inline std::vector<Variant> variants_of(std::size_t stage) {
    const std::string directory{course_servers.at(stage - 1).name};
    std::vector<Variant> variants;
    for (const auto& patch :
         entries_of(source_tree / directory / "variants",
                    [](const auto& entry) { return entry.extension() == ".patch"; })) {
        std::string name = patch.stem().string();
        std::replace(name.begin(), name.end(), '-', '_');
        variants.push_back(
            {lines_of(patch).front(),
             course_command(stage, fmt::format("stage{:02}_variant_{}", stage, name)),
             {}});
        for (const Claim& claim : all_claims()) {
            if (variants.back().heading.find(fmt::format("`{}`", claim.name)) !=
                std::string::npos) {
                variants.back().changed.insert(claim.name);
            }
        }
    }
    return variants;
}

/// Checks that each variant of a stage changes the results of the claims that its heading names, or
/// of none if it says so, and of no other. Of the other claims it tests every `share`th, and
/// different ones for each variant. Each variant has its own `clients`. All clients run in
/// parallel, because they mostly wait. A claim with an unexpected result is tested again alone,
/// because the other clients may have stalled the machine. Sanitizer builds have no variants: most
/// are mistakes, and some are races.
inline void check_variants(std::size_t stage, std::size_t share, std::size_t clients = 2) {
    if (sanitized) {
        return;
    }
    const std::vector<Variant> variants = variants_of(stage);
    CHECK(!variants.empty());
    std::vector<std::future<std::vector<Trial>>> running;
    for (std::size_t v = 0; v < variants.size(); ++v) {
        std::vector<std::vector<const Claim*>> claims(clients);
        for (std::size_t i = 0; i < all_claims().size(); ++i) {
            const Claim& claim = all_claims()[i];
            if (variants[v].changed.contains(claim.name) || (i + v) % share == 0) {
                claims[i % clients].push_back(&claim);
            }
        }
        for (const std::vector<const Claim*>& some : claims) {
            running.push_back(
                std::async(std::launch::async, try_claims, variants[v].command, some));
        }
    }
    std::vector<std::vector<Trial>> trials;
    for (std::future<std::vector<Trial>>& some : running) {
        trials.push_back(some.get());
    }
    for (std::size_t i = 0; i < trials.size(); ++i) {
        const auto& [heading, command, changed] = variants[i / clients];
        INFO(heading);
        CHECK(changed.empty() == heading.ends_with(": no claim fails."));
        for (Trial& trial : trials[i]) {
            if (trial.as_expected(stage) == changed.contains(trial.claim->name)) {
                trial = try_claim(*trial.claim, command);
            }
        }
        check_trials(trials[i], stage, changed);
    }
}

enum class Verdict { as_expected, not_as_expected };

/// Checks the verdict of a stage's client on a server. Skipped under a sanitizer, which sees all
/// parts of the server and of the client in other tests.
inline void check_verdict(std::size_t stage, const CourseServer& server, Verdict expected,
                          std::string_view flags = "--requests 500 --timeout-ms 2000") {
    if (sanitized) {
        return;
    }
    const std::string output =
        output_of({program("client"),
                   fmt::format("{} {}", stage, flags),
                   {"--spawn", fmt::format("{} --port 0 {}", shell_word(program(server.name)),
                                           server.flags)}});
    INFO(output);
    CHECK(output.ends_with(
        expected == Verdict::as_expected
            ? fmt::format("verdict: as expected for stage {}\nexit 0\n", stage)
            : fmt::format("verdict: NOT AS EXPECTED for stage {}\nexit 1\n", stage)));
}

}  // namespace unfreeze
