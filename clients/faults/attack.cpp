// Runs attacks against one of the course's servers, and reports which of them it withstands.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iterator>
#include <string>
#include <vector>

#include "clients/faults/attacks.hpp"
#include "clients/probe/choice.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/process.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/log.hpp"

int main(int argc, char** argv) {
    using namespace unfreeze;
    std::size_t stage = last_stage;
    std::size_t part = 1;
    std::string only;
    CommandLine command_line{"Attacks a stage's server, and reports whether it passes."};
    command_line.add("stage", stage, 3, last_stage, "stages 1 and 2 validate nothing");
    command_line.add("--part", part, 1, 50, "divide the number of clients by this");
    command_line.add("--only", only, "run one attack: " + names_of(all_attacks()));
    command_line.parse(argc, argv);

    std::vector<Attack> attacks;
    std::copy_if(all_attacks().begin(), all_attacks().end(), std::back_inserter(attacks),
                 [&](const Attack& attack) { return stage >= attack.first_stage; });
    if (!only.empty()) {
        attacks = {choose("attack", only, attacks)};
    }
    raise_descriptor_limit();
    fmt::print("{:<40}{:<6}{:>14}\n", "", "result", "slowest probe");
    std::size_t passed = 0;
    for (const Attack& attack : attacks) {
        try {
            const Outcome outcome =
                attack.run(std::string{course_servers.at(stage - 1).name}, part);
            const std::string slowest =
                outcome.slowest ? fmt::format("{:.0f} ms", in_ms(*outcome.slowest)) : "no response";
            fmt::print("{:<40}{:<6}{:>14}   {}\n", attack.description,
                       outcome.passed ? "pass" : "FAIL", slowest, outcome.figure);
            std::fflush(stdout);
            passed += outcome.passed ? 1 : 0;
        } catch (const std::exception& error) {
            fail(fmt::format("attack '{}' could not run: {}", attack.name, error.what()));
        }
    }
    fmt::print("verdict: stage {} {} {} of {} attacks\n", stage,
               passed == attacks.size() ? "passed" : "FAILED: passed", passed, attacks.size());
    finish_output();
    return passed == attacks.size() ? 0 : 1;
}
