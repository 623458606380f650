
#include <regex>

#include "clients/probe/black_box.hpp"

// Tools report missing descriptors and full disks.
using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

struct Tool {
    std::string_view name;
    std::string arguments;
    std::vector<std::string> more = {};

    Command command() const { return {program(name), arguments, more}; }
};

/// Flags with which a tool starts a server.
std::vector<std::string> spawn(std::string_view name) {
    return {"--spawn", fmt::format("{} --port 0", shell_word(program(name)))};
}

/// Checks that a tool failed and printed one error, perhaps after other output.
void check_sentence(std::string_view name, const std::string& output) {
    INFO(output);
    CHECK(output.ends_with("\nexit 2\n"));
    const std::regex sentence{fmt::format("(^|\n){}: [^\n]+\n", name)};
    CHECK(std::distance(std::sregex_iterator{output.begin(), output.end(), sentence}, {}) == 1);
    CHECK(output.find("terminate called") == output.npos);
}

}  // namespace

TEST_CASE("A tool without enough descriptors fails with one sentence", "[waits]") {
    const std::vector<Tool> tools{
        {"attack", "3 --part 50 --only unfinished-bodies"},
        {"bench", "--scenarios idle --idle-connections 1"},
        {"check", "2", spawn("stage02_async")},
        {"coroutines", "--divide 100 --rounds 1"},
        {"experiment", "workers --rows 1 --work-ms 10"},
        {"freeze", "", spawn("stage02_async")},
        {"gate", "pass --port 0 --server 127.0.0.1:1"},
        {"goodput", "--seconds 1"},
        {"matrix", "--stage 3"},
        {"soak", "--runs 1 --run-seconds 4"},
        {"client", "5 --concurrency 50", spawn("stage05_backpressure")},
    };
    for (const Tool& tool : tools) {
        for (const int limit : {4, 9}) {
            if (tool.name == "gate" && limit == 9) {
                continue;  // it serves
            }
            INFO(limit);
            check_sentence(
                tool.name,
                output_of(tool.command().run_by({"prlimit", fmt::format("--nofile={}", limit)})));
        }
    }
}

TEST_CASE("A tool that runs out of descriptors midway reports it, and does not blame the server",
          "[waits]") {
    const auto short_of = [](const Tool& tool, int limit) {
        return output_of(tool.command().run_by({"prlimit", fmt::format("--nofile={}", limit)}),
                         100s);
    };
    // Start the server first: with the client's limit it could not raise its own.
    ServerProcess server{server_command("stage02_async")};
    const std::string at = "--server " + server.target().name();
    const std::string load = short_of({"client", "5 --concurrency 50 " + at}, 20);
    check_sentence("client", load);
    CHECK(
        load.ends_with("\nclient: can't open another connection: Too many open files"
                       "\nexit 2\n"));
    CHECK(load.find("accepted") == load.npos);
    check_sentence("client", short_of({"client", "2 " + at}, 20));
    check_sentence("check", short_of({"check", "2 " + at}, 10));
    check_sentence("freeze", short_of({"freeze", at}, 20));
    check_sentence("matrix", short_of({"matrix", "--stage 2 --jobs 8"}, 24));
    check_sentence("soak", short_of({"soak", "--runs 1 --run-seconds 4"}, 30));
}

namespace {

/// Checks that a tool fails if its --csv, or another file, is on a full disk.
void check_full_file(const Tool& tool) {
    const std::string output = output_of(tool.command());
    INFO(output);
    check_sentence(tool.name, output);
    CHECK(output.find(fmt::format("{}: can't write to /dev/full\n", tool.name)) != output.npos);
}

/// Checks that a tool fails if its standard output goes to a full disk.
void check_full_output(const Tool& tool) {
    const std::string output =
        output_of(tool.command().run_by({"/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh"}), 60s);
    CHECK(output == fmt::format("{}: can't write to standard output\n"
                                "exit 2\n",
                                tool.name));
}

}  // namespace

TEST_CASE("A tool that can't write its results fails with one sentence", "[waits]") {
    ServerProcess server{server_command("stage02_async")};
    const std::string at = "--server " + server.target().name();
    const Tool workers{"experiment", "workers --rows 1 --work-ms 10"};
    check_full_file({"experiment", workers.arguments + " --csv /dev/full"});
    check_full_output(workers);
    check_full_output({"check", "1 " + at});
    check_full_output({"freeze", "--clients 1 " + at});
    check_full_output({"client", "2 --requests 10 " + at});
    check_full_output({"client", "2 --json --requests 10 " + at});
}

TEST_CASE("Every other tool fails if it can't write its file", "[full]") {
    check_full_file({"coroutines", "--divide 100 --rounds 1 --csv /dev/full"});
    check_full_file({"goodput", "stage10_shutdown --times 0.5 --seconds 1 --csv /dev/full"});
    check_full_file({"matrix", "--stage 2 --json /dev/full"});
    check_full_file({"matrix", "--stage 2 --markdown /dev/full"});
    check_full_file({"metrics_benchmark", "counters --rounds 1 --csv /dev/full"});
    check_full_file({"queue_benchmark", "--rounds 1 --csv /dev/full"});
}

TEST_CASE("Every other tool fails if it can't write its output", "[full]") {
    check_full_output({"attack", "5 --part 50 --only connection-limit"});
    check_full_output({"coroutines", "--divide 100 --rounds 1"});
    check_full_output({"goodput", "stage10_shutdown --times 0.5 --seconds 1"});
    check_full_output({"matrix", "--stage 2"});
    check_full_output({"metrics_benchmark", "counters --rounds 1"});
    check_full_output({"queue_benchmark", "--rounds 1"});
    check_full_output({"soak", "--runs 1 --run-seconds 4"});
}
