#include <string>

#include "clients/probe/black_box.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

std::string soak(std::string_view flags) { return output_of({program("soak"), flags}, 100s); }

}  // namespace

TEST_CASE("The final server loses nothing and keeps nothing in the midst of all kinds of clients") {
    const std::string output = soak("--lives 1 --life-seconds 8");
    INFO(output);
    CHECK(output.ends_with("verdict: 1 of 1 lives held\nexit 0\n"));
}

TEST_CASE("A server that forgets what it has accepted is found out") {
    const std::string server = sanitized ? "stage09_metrics" : "stage10_variant_no_drain";
    const std::string output = soak("--lives 1 --life-seconds 4 --program " + server);
    INFO(output);
    CHECK(output.find("DID NOT HOLD") != std::string::npos);
    CHECK(output.ends_with("verdict: 0 of 1 lives held: NOT GOOD\nexit 1\n"));
}

TEST_CASE("What is no server is not soaked") {
    CHECK(soak("--program nothing").ends_with("exit 2\n"));
}
