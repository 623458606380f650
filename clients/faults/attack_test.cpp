#include <fmt/format.h>

#include <list>
#include <string>

#include "clients/probe/black_box.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

std::string attack(std::size_t stage, std::size_t part, std::string_view flags = "") {
    return output_of({program("attack"), fmt::format("{} --part {} {}", stage, part, flags)}, 120s);
}

}  // namespace

TEST_CASE("The final server holds under attack") {
    const std::string output = attack(10, sanitized ? 10 : 1);
    INFO(output);
    CHECK(output.ends_with("verdict: stage 10 held\nexit 0\n"));
}

TEST_CASE("So do the others that trust nobody, under a smaller one", "[full]") {
    std::list<Process> attacks;  // side by side: most of the time they wait
    for (std::size_t stage = 3; stage < 10; stage += sanitized ? 3 : 1) {
        attacks.emplace_back(Command{program("attack"), fmt::format("{} --part 20", stage)}.with(
            Output::kept_with_errors));
    }
    for (Process& process : attacks) {
        const std::string output = output_with_exit_status(process, 120s);
        INFO(output);
        CHECK(output.ends_with(" held\nexit 0\n"));
    }
}

TEST_CASE("An attack that there is none of is refused") {
    CHECK(
        attack(4, 1, "--only places")
            .starts_with("attack: there is no attack 'places' on stage 4, but: descriptors, idle"));
    CHECK(attack(2, 1).ends_with("exit 2\n"));
}
