#include "clients/probe/black_box.hpp"

using namespace unfreeze;

namespace {

/// The output of check for a server that should be at that stage.
std::string checked(std::size_t stage, const std::string& server) {
    return output_of({program("check"), std::to_string(stage), {"--spawn", server}},
                     std::chrono::minutes{1});
}

/// Python's own server, which serves one client at a time, or starts a thread for each.
std::string python(std::string_view kind) {
    const auto script = source_tree / "clients" / "claims" / "other_server.py";
    return fmt::format("exec python3 {} {{port}} {} 2>&1", shell_word(script.string()), kind);
}

}  // namespace

TEST_CASE("Check reports which stage a server from outside the course has reached") {
    if (output_of("python3 --version").ends_with("exit 127\n")) {
        WARN("skipped, because python3 is missing");
        return;
    }
    const std::string one = checked(2, python("one"));
    INFO(one);
    CHECK(one.find("\nPASS  a request may arrive byte by byte\n") != one.npos);
    for (const char* const goal :
         {"an idle client blocks no other client", "20 idle connections do not delay anyone"}) {
        CHECK(one.find(fmt::format("\nFAIL  {}: expected a response, got no answer in 1000 ms\n",
                                   goal)) != one.npos);
    }
    CHECK(
        one.ends_with("\n3 of 5 claims passed: your server has reached stage 1, not 2; read "
                      "docs/stage02.md\nexit 1\n"));

    const std::string threads = checked(2, python("threads"));
    INFO(threads);
    CHECK(threads.find("FAIL") == threads.npos);
    CHECK(threads.ends_with("\n5 of 5 claims passed: your server has reached stage 2\nexit 0\n"));
}

TEST_CASE("A server of this course has reached its own stage, and not the next one", "[full]") {
    const std::string server =
        shell_word(program("stage04_state")) + " --port 0 --work-ms 50 --head-ms 500";
    const std::string output = checked(5, server);
    INFO(output);
    CHECK(output.find("\nFAIL  an event is accepted before its work is done: expected ") !=
          output.npos);
    CHECK(output.find("\nFAIL  slow work does not delay the response: expected ") != output.npos);
    CHECK(output.ends_with(
        " claims passed: your server has reached stage 4, not 5; read docs/stage05.md\nexit 1\n"));
}

TEST_CASE("The final server has reached the last stage", "[full]") {
    const std::string output = checked(10, shell_word(program("stage10_shutdown")) +
                                               " --port 0 --work-ms 60 --hold-ms 15 --head-ms 500");
    INFO(output);
    CHECK(output.ends_with(" claims passed: your server has reached stage 10\nexit 0\n"));
}

TEST_CASE("Check does not end a server that it has not started") {
    ServerProcess server{course_command(2, "stage02_async")};
    CHECK(output_of({program("check"), "2 --server " + server.target().name()})
              .ends_with(" claims passed: your server has reached stage 2\nexit 0\n"));
    CHECK(!server.process().ended());
}

TEST_CASE("A server has not reached a stage if check could test none of its claims") {
    ServerProcess server{course_command(10, "stage10_shutdown")};
    const std::string output = output_of(
        {program("check"), "10 --server " + server.target().name()}, std::chrono::minutes{1});
    INFO(output);
    CHECK(output.find("\nstage 10\nSKIP  no accepted job is lost on SIGTERM: this would end your "
                      "server (see --spawn)\nSKIP  ") != output.npos);
    CHECK(output.ends_with(
        " claims passed: your server has reached stage 9, not 10; read docs/stage10.md\nexit 1\n"));
}

TEST_CASE("Check and client reject a wrong stage and a wrong command in one sentence") {
    CHECK(output_of({program("check"), "11"}).ends_with("\nexit 2\n"));
    CHECK(output_of({program("check"), "1 --spawn true"})
              .starts_with("check: no server from 'true': "));
    for (const char* const arguments : {"", "0", "11", "05", "--json"}) {
        CHECK(output_of({program("client"), arguments}) ==
              fmt::format("client: expected a stage from 1 to 10 as the first argument, got '{}' "
                          "(see --help)\nexit 2\n",
                          arguments));
    }
}
