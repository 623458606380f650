#include <string>

#include "clients/probe/black_box.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

std::string soak(std::string_view flags) { return output_of({program("soak"), flags}, 100s); }

}  // namespace

TEST_CASE("The final server loses no event and leaks nothing under clients of all kinds") {
    const std::string output = soak("--runs 1 --run-seconds 8");
    INFO(output);
    CHECK(output.ends_with("verdict: 1 of 1 runs passed\nexit 0\n"));
}

TEST_CASE("soak fails a server that loses accepted events") {
    const std::string server = sanitized ? "stage09_metrics" : "stage10_variant_no_drain";
    const std::string output = soak("--runs 1 --run-seconds 4 --program " + server);
    INFO(output);
    CHECK(output.ends_with("verdict: FAIL: 0 of 1 runs passed\nexit 1\n"));
}

TEST_CASE("soak reports a program that is no server") {
    CHECK(soak("--program nothing").ends_with("exit 2\n"));
}
