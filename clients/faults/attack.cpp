// Attacks one of the course's servers in the ways that the open internet has, and says what came of
// it.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>

#include "clients/faults/attacks.hpp"
#include "clients/probe/choice.hpp"
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
    CommandLine command_line{"Attacks a stage's server, and says whether it held."};
    command_line.add("stage", stage, 3, last_stage, "which; those before 3 trust everybody");
    command_line.add("--part", part, 1, 50, "divides the numbers of clients");
    command_line.add("--only", only, "one of: " + names_of(all_attacks()));
    command_line.parse(argc, argv);

    raise_descriptor_limit();
    fmt::print("{:<40}{:<6}{:>14}\n", "", "held", "slowest answer");
    std::size_t tried = 0;
    std::size_t failed = 0;
    for (const Attack& attack : all_attacks()) {
        if (stage < attack.first_stage || (!only.empty() && only != attack.name)) {
            continue;
        }
        try {
            const std::string name{course_servers.at(stage - 1).name};
            const auto [held, slowest, figure] = attack.run(name, part);
            const std::string answered =
                slowest ? fmt::format("{:.0f} ms", static_cast<double>(slowest->count()) / 1000)
                        : "none";
            fmt::print("{:<40}{:<6}{:>14}   {}\n", attack.what, held ? "yes" : "NO", answered,
                       figure);
            std::fflush(stdout);
            ++tried;
            failed += held ? 0 : 1;
        } catch (const std::exception& error) {
            fail(fmt::format("no figures of '{}': {}", attack.name, error.what()));
        }
    }
    if (tried == 0) {
        fail(fmt::format("there is no attack '{}' on stage {}, but: {}", only, stage,
                         names_of(all_attacks())));
    }
    fmt::print("verdict: stage {} {}\n", stage, failed == 0 ? "held" : "DID NOT HOLD");
    finish_output();
    return failed == 0 ? 0 : 1;
}
