#include <fmt/format.h>

#include <future>
#include <string>
#include <vector>

#include "clients/black_box.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

std::string attack(std::size_t stage, std::size_t part, std::string_view flags = "") {
    return output_of(fmt::format("{} {} --part {} {}", program("attack"), stage, part, flags),
                     120s);
}

}  // namespace

TEST_CASE("The final server holds under attack") {
    const std::string output = attack(10, sanitized ? 10 : 1);
    INFO(output);
    CHECK(output.ends_with("verdict: stage 10 held\nexit 0\n"));
}

TEST_CASE("So do the others that trust nobody, under a smaller one") {
    std::vector<std::future<std::string>> outputs;
    for (std::size_t stage = 3; stage < 10; stage += sanitized ? 3 : 1) {
        outputs.push_back(std::async(std::launch::async, attack, stage, 20, ""));
    }
    for (auto& output : outputs) {
        const std::string text = output.get();
        INFO(text);
        CHECK(text.ends_with(" held\nexit 0\n"));
    }
}

TEST_CASE("An attack that there is none of is refused") {
    CHECK(
        attack(4, 1, "--only places")
            .starts_with("attack: there is no attack 'places' on stage 4, but: descriptors, idle"));
    CHECK(attack(2, 1).ends_with("exit 2\n"));
}
