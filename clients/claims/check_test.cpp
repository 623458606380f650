#include "clients/probe/black_box.hpp"

using namespace unfreeze;

namespace {

/// What check says of a server that should be at that stage.
std::string checked(std::size_t stage, const std::string& server) {
    return output_of({program("check"), std::to_string(stage), {"--spawn", server}},
                     std::chrono::minutes{1});
}

/// Python's own server: one client at a time, or a thread for each.
std::string python(std::string_view kind) {
    return fmt::format("exec python3 {} {{port}} {} 2>&1",
                       shell_word((source_tree / "clients" / "other_server.py").string()), kind);
}

}  // namespace

TEST_CASE("A server of another house is told which stage it has reached, and what to read") {
    if (output_of("python3 --version").ends_with("exit 127\n")) {
        WARN("not tried, as there is no python3");
        return;
    }
    const std::string one = checked(2, python("one"));
    INFO(one);
    CHECK(one.find("\n20 silent clients are harmless (`twenty-silent`): expected yes, found no: "
                   "no answer in 1000 ms\n") != one.npos);
    CHECK(one.find("\na silent client stops everybody (`silent-client`): expected no, found yes: "
                   "no answer in 1000 ms\n") != one.npos);
    CHECK(one.ends_with(
        "\nverdict: your server has reached stage 1, not 2; read docs/stage02.md\nexit 1\n"));

    const std::string threads = checked(2, python("threads"));
    INFO(threads);
    CHECK(threads.find("NOT GOOD") == threads.npos);
    CHECK(threads.ends_with("\nverdict: your server has reached stage 2\nexit 0\n"));
}

TEST_CASE("A stage of this course has reached itself, and not the next one", "[full]") {
    const std::string server =
        shell_word(program("stage04_state")) + " --port 0 --work-ms 50 --head-ms 500";
    const std::string output = checked(5, server);
    INFO(output);
    CHECK(output.find("(`accepted-at-once`): expected yes, found no: ") != output.npos);
    CHECK(output.find("(`slow-work`): expected no, found yes: ") != output.npos);
    CHECK(output.ends_with(
        "\nverdict: your server has reached stage 4, not 5; read docs/stage05.md\nexit 1\n"));
}

TEST_CASE("The final server has reached the last stage", "[full]") {
    const std::string output = checked(10, shell_word(program("stage10_shutdown")) +
                                               " --port 0 --work-ms 60 --hold-ms 15 --head-ms 500");
    INFO(output);
    CHECK(output.ends_with("\nverdict: your server has reached stage 10\nexit 0\n"));
}

TEST_CASE("A server that runs is not ended by a check") {
    ServerProcess server{course_command(2, "stage02_async")};
    CHECK(output_of({program("check"), "2 --server " + server.target().name()})
              .ends_with("\nverdict: your server has reached stage 2\nexit 0\n"));
    CHECK(!server.process().ended());
}

TEST_CASE("A stage of which nothing could be tried is not reached") {
    ServerProcess server{course_command(10, "stage10_shutdown")};
    const std::string output = output_of(
        {program("check"), "10 --server " + server.target().name()}, std::chrono::minutes{1});
    INFO(output);
    CHECK(output.find("\nstage 10: nothing was tried\n") != output.npos);
    CHECK(output.find("stage 7: nothing") == output.npos);  // it brings a weakness alone
    CHECK(output.ends_with(
        "\nverdict: your server has reached stage 9, not 10; read docs/stage10.md\nexit 1\n"));
}

TEST_CASE("A check of nothing is refused in a sentence") {
    CHECK(output_of({program("check"), "11"}).ends_with("\nexit 2\n"));
    CHECK(output_of({program("check"), "1 --spawn true"})
              .starts_with("check: no server from 'true': "));
}
