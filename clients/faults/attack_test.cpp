#include <fmt/format.h>

#include <list>
#include <string>

#include "clients/probe/black_box.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

Command attack(std::size_t stage, std::size_t part, std::string_view flags = "") {
    return {program("attack"), fmt::format("{} --part {} {}", stage, part, flags)};
}

}  // namespace

TEST_CASE("The final server passes when it is under attack") {
    const std::string output = output_of(attack(10, sanitized ? 10 : 1), 120s);
    INFO(output);
    CHECK(output.find("verdict: stage 10 passed") != std::string::npos);
    CHECK(output.ends_with("\nexit 0\n"));
}

TEST_CASE("Each earlier server that validates passes when it is under a smaller attack", "[full]") {
    std::list<Process> attacks;  // in parallel, because each mostly waits
    for (std::size_t stage = 3; stage < 10; stage += sanitized ? 3 : 1) {
        attacks.emplace_back(attack(stage, 20).with(Output::kept_with_errors));
    }
    for (Process& process : attacks) {
        const std::string output = output_with_exit_status(process, 120s);
        INFO(output);
        CHECK(output.find(" passed ") != std::string::npos);
        CHECK(output.ends_with("\nexit 0\n"));
    }
}

TEST_CASE("An unknown attack, and one that a stage can't pass, is an error") {
    CHECK(output_of(attack(4, 1, "--only connection-limit"))
              .starts_with("attack: unknown attack 'connection-limit'; choose one of: "
                           "descriptor-limit, idle-connections, unread-responses, "));
    CHECK(output_of(attack(2, 1)).ends_with("exit 2\n"));
}
