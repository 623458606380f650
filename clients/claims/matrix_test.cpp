#include <asio.hpp>

#include "clients/claims/black_box.hpp"

using namespace unfreeze;

TEST_CASE("The matrix names the cell of a server that does not behave as expected") {
    if (sanitized) {
        return;  // there are no variants
    }
    const std::string variant =
        fmt::format("{} --port 0 {}", shell_word(program("stage05_variant_unbounded_queue")),
                    course_servers.at(4).flags);
    const std::string output = output_of({program("matrix"), "--stage 5", {"--spawn", variant}});
    INFO(output);
    CHECK(output.find("\nNOT AS EXPECTED: `overload` in stage 5: rejected none of 2000; it is true "
                      "from stage 5 on\n") != std::string::npos);
    CHECK(output.find("✗ accepted all") != std::string::npos);
    CHECK(output.ends_with(" cells as expected\nexit 1\n"));
}

TEST_CASE("The matrix accepts a server that behaves as expected, and writes its results") {
    const std::string json = fmt::format("/tmp/matrix_test_{}.json", getpid());
    const std::string output = output_of({program("matrix"), "--stage 3 --json " + json});
    INFO(output);
    CHECK(output.ends_with(
        fmt::format("\n{0} of {0} cells as expected\nexit 0\n", all_claims().size())));
    CHECK(lines_of(json).size() == all_claims().size() + 2);
    CHECK(
        text_of(json).find(
            R"({"claim":"garbage","sentence":"garbage is rejected and the next client is served","stage":3,"holds":true,"as_expected":true,"summary":"3/3",)") !=
        std::string::npos);
    std::filesystem::remove(json);
}

TEST_CASE(
    "With a goal, the matrix says whether exactly these results changed, or what is missing") {
    if (sanitized) {
        return;  // there are no variants
    }
    const std::string variant =
        fmt::format("{} --port 0 {}", shell_word(program("stage03_variant_fresh_parser")),
                    course_servers.at(2).flags);
    const auto verdict = [&](const std::string& goals) {
        const std::string output =
            output_of({program("matrix"), "--stage 3 " + goals, {"--spawn", variant}});
        return output.substr(std::min(output.find("Solved"), output.find("Not yet")));
    };
    CHECK(verdict("--goal none --goal pipelining") ==
          "Solved: `pipelining` now fails, and no other result changed.\nexit 0\n");
    CHECK(verdict("--goal keep-alive,reason --goal keep-alive") ==
          "Not yet: `keep-alive` still holds: 20 of 20 answered on one connection.\n"
          "Not yet: `pipelining` should not change, but now fails: 1 of 40 in order.\nexit 1\n");
}

TEST_CASE("If one server does not start, the matrix still ends the others by SIGTERM", "[waits]") {
    const std::string folder = fmt::format("/tmp/matrix_test_{}", getpid());
    std::filesystem::create_directory(folder);
    asio::io_context io;
    const asio::ip::tcp::acceptor frozen{io, {asio::ip::address_v4::loopback(), 0}};
    // The first server listens until its claim has been tested. The second one exits before that.
    const std::string line = fmt::format(
        "if mkdir {0}/first 2>/dev/null; then trap 'touch {0}/ended; exit' TERM; "
        "touch {0}/ready; echo listening on 127.0.0.1:{1}; read line; else "
        "while [ ! -e {0}/ready ]; do sleep 0.01; done; exit 1; fi",
        folder, frozen.local_endpoint().port());
    const std::string output =
        output_of({program("matrix"), "--stage 2 --jobs 2", {"--spawn", line}});
    INFO(output);
    CHECK(output.ends_with("': it ended before it listened\nexit 2\n"));
    CHECK(std::filesystem::exists(folder + "/ended"));
    std::filesystem::remove_all(folder);
}

TEST_CASE("The matrix rejects wrong flags and commands in one sentence") {
    CHECK(output_of({program("matrix"), "--spawn true"}) ==
          "matrix: --spawn needs --stage to say which stage it replaces\nexit 2\n");
    CHECK(
        output_of({program("matrix"), "--stage 1 --spawn true"}).find("no server from 'true': ") !=
        std::string::npos);
    CHECK(output_of({program("matrix"), "--goal none"}) ==
          "matrix: --goal needs --stage to say which stage is to change\nexit 2\n");
    CHECK(output_of({program("matrix"), "--stage 1 --goal idle-client,idle"}) ==
          "matrix: --goal: there is no claim 'idle'\nexit 2\n");
    CHECK(output_of({program("matrix"), "--stage 11"}).ends_with("\nexit 2\n"));
}
