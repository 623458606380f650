#include <algorithm>

#include "clients/measure/csv_test.hpp"
#include "clients/probe/black_box.hpp"
#include "clients/probe/connection.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view event = R"({"user":"alice","action":"buy","amount":100})";

/// The response head without its Date, and the body; empty if there is no response.
std::string answer_of(Connection& connection) {
    const auto response = connection.receive();
    if (!response) {
        return "";
    }
    const std::string& head = response->head;
    const std::size_t date = head.find("Date: ");
    REQUIRE(date != head.npos);
    return head.substr(0, date) + head.substr(head.find("\r\n", date)) + "|" + response->body;
}

/// The servers in the rows of a scenario, in order.
std::vector<std::string> names_in(const std::vector<CsvRow>& rows, const std::string& scenario) {
    std::vector<std::string> names;
    for (const CsvRow& row : rows) {
        if (row.at("scenario") == scenario) {
            names.push_back(row.at("server"));
        }
    }
    return names;
}

void check_positive(const CsvRow& row, const std::vector<std::string>& columns) {
    for (const std::string& column : columns) {
        INFO(row.at("scenario") << ", " << row.at("server") << ": " << column);
        REQUIRE(!row.at(column).empty());
        CHECK(std::stod(row.at(column)) > 0);
    }
}

std::string bench(std::string_view flags, const std::vector<std::string>& more = {}) {
    return output_of({program("bench"), flags, more});
}

bool wrk_is_missing() {
    if (output_of("(command -v wrk)").ends_with("exit 0\n")) {
        return false;
    }
    WARN("SKIPPED, NOTHING TESTED: wrk is missing (./lab setup)");
    return true;
}

}  // namespace

TEST_CASE("The floor answers like the last stage, once per request, wherever packets split") {
    ServerProcess floor{server_command("floor")};
    ServerProcess last{server_command("stage10_shutdown", "--work-ms 0 --hold-ms 0")};
    Connection to_floor{floor.target()};
    Connection to_last{last.target()};
    const std::string request = post(event);
    std::string expected;
    for (std::size_t cut = 0; cut < request.size(); ++cut) {
        INFO("cut after " << cut << " bytes");
        for (Connection* const connection : {&to_floor, &to_last}) {
            // The start of the second request arrives with the first one, so the first response
            // shows that the server has read it.
            REQUIRE(connection->send(request + request.substr(0, cut)));
            const std::string first = answer_of(*connection);
            REQUIRE(connection->send(request.substr(cut)));
            expected = expected.empty() ? first : expected;
            CHECK(first == expected);
            CHECK(answer_of(*connection) == expected);
        }
    }
    CHECK(expected.starts_with("HTTP/1.1 202 "));
    CHECK(expected.ends_with("|{\"status\":\"accepted\"}\n"));
}

TEST_CASE("The floor answers pipelined requests, and closes after the last one") {
    constexpr std::size_t requests = 200;  // more than one read can hold
    ServerProcess floor{server_command("floor")};
    ServerProcess last{
        server_command("stage10_shutdown", "--work-ms 0 --hold-ms 0 --queue-capacity 1000")};
    std::string bytes;
    for (std::size_t n = 1; n < requests; ++n) {
        bytes += post(event);
    }
    bytes += post(event, "Connection: close\r\n");
    std::vector<std::string> answers;
    for (const Target& target : {floor.target(), last.target()}) {
        Connection connection{target};
        REQUIRE(connection.send(bytes));
        for (std::size_t n = 0; n < requests; ++n) {
            answers.push_back(answer_of(connection));
            INFO(answers.back());
            const bool closing = answers.back().find("Connection: close\r\n") != std::string::npos;
            CHECK(closing == (n + 1 == requests));
        }
        CHECK(connection.closed_by_server());
    }
    CHECK(std::equal(answers.begin(), answers.begin() + requests, answers.begin() + requests));
}

TEST_CASE("The floor rejects wrong flags with one sentence") { check_start_errors("floor"); }

TEST_CASE("Bench compares servers with the floor, and stages with each other", "[full]") {
    if (sanitized || wrk_is_missing()) {
        return;
    }
    const auto folder = std::filesystem::temp_directory_path();
    const auto csv = folder / fmt::format("unfreeze_bench_test_{}.csv", getpid());
    const auto stages_csv = folder / fmt::format("unfreeze_bench_test_{}_stages.csv", getpid());
    // Both run at once, because their timing does not matter here.
    const std::string turn = "--rounds 1 --seconds 1 --warm-up-seconds 0";
    const Command bench_stages{
        program("bench"), turn + " --stages --scenarios close", {"--csv", stages_csv.string()}};
    Process stages{bench_stages.with(Output::kept_with_errors)};
    const std::string again = fmt::format("again={} --port {{port}}", shell_word(program("floor")));
    const std::string refuses =
        fmt::format("refuses={} --port 0 --work-ms 200 --workers 1 --queue-capacity 1",
                    shell_word(program("stage10_shutdown")));
    const std::string output = bench(turn + " --scenarios idle,p16 --idle-connections 200",
                                     {"--csv", csv.string(), "--peer", again, "--peer", refuses});
    INFO(output);
    CHECK(output.ends_with("\nexit 0\n"));
    CHECK(output.find("\np16: ") < output.find("\nidle: 200 "));
    const std::vector<CsvRow> rows = take_csv_rows(csv);
    std::vector<std::string> servers{"floor", "ours", "again", "refuses"};
    if (output.find("skipping nginx, ") == std::string::npos) {
        servers.insert(servers.begin() + 1, "nginx");
    }
    for (const char* const scenario : {"p16", "idle"}) {
        CHECK(names_in(rows, scenario) == servers);
    }
    for (const CsvRow& row : rows) {
        const std::string& server = row.at("server");
        if (row.at("scenario") == "idle") {
            CHECK((std::stod(row.at("bytes_each")) > 0 || server == "floor" || server == "again"));
            continue;
        }
        check_positive(row, {"cpu_us", "times_the_floor", "requests_per_second"});
        CHECK(row.at("errors") == "0");
        CHECK(row.at("p50_us").empty());  // unknown for pipelined requests
        CHECK((std::stod(row.at("rejected_percent")) > 90) == (server == "refuses"));
        CHECK((row.at("times_the_floor") == "1.00" || server != "floor"));
        CHECK((std::stod(row.at("times_the_floor")) > 1 || server != "ours"));
    }

    CHECK(output_with_exit_status(stages, 30s).ends_with("\nexit 0\n"));
    const std::vector<CsvRow> stage_rows = take_csv_rows(stages_csv);
    REQUIRE(stage_rows.size() == last_stage);
    for (std::size_t i = 0; i < last_stage; ++i) {
        const CsvRow& row = stage_rows[i];
        CHECK(row.at("server") == course_servers.at(i).name);
        check_positive(row, {"cpu_us", "requests_per_second", "p50_us", "p99_us", "p999_us"});
        CHECK(row.at("more_than_before_us").empty() == (i == 0));
    }
}

TEST_CASE("A server gets --server-cores cores, or all cores if there are fewer") {
    if (wrk_is_missing()) {
        return;
    }
    const auto file =
        std::filesystem::temp_directory_path() / fmt::format("unfreeze_bench_test_{}", getpid());
    const int all = std::stoi(output_of("nproc"));
    for (const int wanted : {1, 2, 64}) {
        INFO(wanted << " of " << all << " cores");
        const std::string output =
            bench(fmt::format("--scenarios idle --idle-connections 1 --server-cores {}", wanted),
                  {"--peer", fmt::format("tells=nproc >{}; exec {} --port {{port}}",
                                         shell_word(file.string()), shell_word(program("floor")))});
        INFO(output);
        CHECK(output.ends_with("\nexit 0\n"));
        CHECK(std::stoi(lines_of(file).at(0)) == std::min(wanted, all));
    }
    std::filesystem::remove(file);
}

TEST_CASE("Bench rejects wrong arguments with one sentence before it measures") {
    if (!wrk_is_missing()) {
        CHECK(output_of("PATH=/nowhere " + shell_word(program("bench"))) ==
              "bench: wrk is missing: install Debian's package wrk, or run ./lab setup\nexit 2\n");
        CHECK(bench("--peer mine") ==
              "bench: --peer: 'mine' is not NAME=COMMAND, such as mine='./server --port {port}'\n"
              "exit 2\n");
        CHECK(bench("--peer a,b=c") ==
              "bench: --peer: 'a,b=c' is not NAME=COMMAND, such as mine='./server --port {port}'\n"
              "exit 2\n");
        CHECK(bench("--peer no=false") ==
              "bench: no does not start: it ended before it listened\nexit 2\n");
        CHECK(bench("--peer", {"no=nothing --port {port}"}) ==
              "bench: no does not start: it ended with exit status 127 before it accepted a "
              "connection\nexit 2\n");
        CHECK(bench("--peer", {fmt::format("refuses={} --port {{port}} --body-bytes-max 10",
                                           shell_word(program("stage03_validation")))}) ==
              "bench: refuses answers an event with 413, not with 2xx\nexit 2\n");
    }
    CHECK(bench("--scenarios k64,k65") ==
          "bench: unknown scenario 'k65'; choose from: k64, k1000, p16, close, load10, load25, "
          "load50, load75, idle\nexit 2\n");
    CHECK(bench("--scenarios", {""}) ==
          "bench: unknown scenario ''; choose from: k64, k1000, p16, close, load10, load25, "
          "load50, load75, idle\nexit 2\n");
    CHECK(bench("--stages --scenarios idle") ==
          "bench: unknown scenario 'idle'; choose from: k64, close\nexit 2\n");
    CHECK(bench("--stages --peer a=b") ==
          "bench: --peer can't be combined with --stages, which measures only our servers\n"
          "exit 2\n");
}
