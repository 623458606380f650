#include <cstdlib>
#include <map>
#include <sstream>

#include "clients/black_box.hpp"
#include "clients/overload.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// One row of an experiment: its fields by the names in the first line.
using Row = std::map<std::string, std::string>;

std::vector<std::string> fields_of(const std::string& line) {
    std::istringstream in{line};
    std::vector<std::string> fields;
    for (std::string field; std::getline(in, field, ',');) {
        fields.push_back(field);
    }
    return fields;
}

/// What an experiment wrote, which took a second for each row.
std::vector<Row> rows_of(std::string_view arguments) {
    const std::filesystem::path csv =
        std::filesystem::temp_directory_path() / fmt::format("experiment-{}.csv", getpid());
    const std::string output = output_of(
        fmt::format("{} {} --seconds 1 --csv {}", program("experiment"), arguments, csv.string()));
    INFO(output);
    CHECK(output.ends_with("\nexit 0\n"));
    const std::vector<std::string> lines = lines_of(csv);
    std::filesystem::remove(csv);
    REQUIRE(!lines.empty());
    const std::vector<std::string> names = fields_of(lines.front());
    std::vector<Row> rows;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const std::vector<std::string> fields = fields_of(lines[i]);
        REQUIRE(fields.size() == names.size());
        Row& row = rows.emplace_back();
        for (std::size_t n = 0; n < names.size(); ++n) {
            row[names[n]] = fields[n];
        }
    }
    return rows;
}

double number(const Row& row, const std::string& name) { return std::stod(row.at(name)); }

}  // namespace

// Timing is what they measure, so that a sanitizer would be what they see.

TEST_CASE("The experiment of contention sees one lock go flat, and many not") {
    if (sanitized) {
        return;
    }
    const std::vector<Row> rows = rows_of("contention --work-ms 20 --hold-ms 20 --rows 6");
    REQUIRE(rows.size() == 6);
    const Row& lock = rows[4];
    const Row& shards = rows[5];
    CHECK(lock.at("locks") == "lock");
    CHECK(shards.at("locks") == "shards");
    CHECK(shards.at("workers") == "4");
    CHECK(number(lock, "model") == 50.0);
    CHECK(number(shards, "model") == 100.0);
    for (const Row& row : rows) {
        CHECK(number(row, "jobs_per_second") < 1.1 * number(row, "model"));
    }
    CHECK(number(shards, "jobs_per_second") > 1.3 * number(lock, "jobs_per_second"));
    CHECK(number(lock, "wait_mean_ms") > 10);  // two others are before it
    CHECK(number(shards, "wait_mean_ms") < number(lock, "wait_mean_ms"));
}

TEST_CASE("The experiment of sharding tells the factors apart") {
    if (sanitized) {
        return;
    }
    const std::vector<Row> rows = rows_of("sharding --work-ms 20 --hold-ms 10 --rows 4");
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].at("locks") == "lock");
    CHECK(rows[1].at("locks") == "shards");
    CHECK(rows[2].at("hold_ms") == "1");
    for (const std::size_t lock : {0, 2}) {
        const Row& shards = rows[lock + 1];
        CHECK(number(shards, "jobs_per_second") > 1.5 * number(rows[lock], "jobs_per_second"));
        CHECK(number(shards, "latency_mean_ms") < number(rows[lock], "latency_mean_ms"));
        CHECK(number(shards, "latency_p99_ms") >= number(shards, "latency_mean_ms"));
        CHECK(number(shards, "accepted") > 116);  // the queue and what is in work
    }
    CHECK(number(rows[2], "jobs_per_second") > 3 * number(rows[0], "jobs_per_second"));
    // Little's law: a full queue and all workers, at this rate.
    const double law = 116e3 / number(rows[0], "jobs_per_second");
    CHECK(number(rows[0], "latency_mean_ms") > 0.8 * law);
    CHECK(number(rows[0], "latency_mean_ms") < 1.2 * law);
}

TEST_CASE("The experiment of levels sees what each of them gives") {
    if (sanitized) {
        return;
    }
    const std::vector<Row> rows = rows_of("levels --work-ms 20 --hold-ms 10 --rows 5");
    REQUIRE(rows.size() == 5);
    const double mutex = number(rows[0], "jobs_per_second");
    CHECK(number(rows[1], "jobs_per_second") < 1.2 * mutex);  // a reader-writer lock
    CHECK(number(rows[2], "jobs_per_second") > 1.5 * mutex);  // 4 shards
    CHECK(number(rows[2], "jobs_per_second") < 4.4 * mutex);
    CHECK(number(rows[3], "jobs_per_second") > 1.5 * number(rows[2], "jobs_per_second"));
    CHECK(number(rows[0], "query_p50_ms") > number(rows[3], "query_p50_ms"));
}

TEST_CASE("What is no experiment, or can't be written down, is refused in one sentence") {
    CHECK(
        output_of(program("experiment") + " fly") ==
        "experiment: there is no experiment 'fly', but: contention, sharding and levels\nexit 2\n");
    CHECK(output_of(program("experiment") + " sharding --csv /nowhere/a.csv") ==
          "experiment: can't write to /nowhere/a.csv\nexit 2\n");
    for (const char* const flags : {"--hold-ms 9", "--hold-ms 60", "--work-ms 510"}) {
        INFO(flags);
        CHECK(output_of(fmt::format("{} sharding {}", program("experiment"), flags))
                  .ends_with("(see --help)\nexit 2\n"));
    }
    CHECK(output_of(program("experiment") + " sharding --work-ms 25") ==
          "experiment: --work-ms and --hold-ms must be multiples of 10, as a tenth of them is "
          "tried, too\nexit 2\n");
}

TEST_CASE("A server that ends while it is measured has no figures") {
    if (sanitized) {  // stdbuf, which has to be loaded first, as the sanitizer has
        return;
    }
    const std::string command =
        fmt::format("timeout 2 {} --port 0 --work-ms 10 --hold-ms 10 --queue-capacity 10",
                    program("stage07_contention"));
    CHECK_THROWS_WITH(measure_overload({.command = command, .span = 5s}),
                      "it ended or fell silent while it was measured");
}

TEST_CASE("Who asks for JSON, or to wait until all is done, gets no table of workers") {
    const char* const flag = GENERATE("--json", "--until-done");
    const auto start = std::chrono::steady_clock::now();
    const std::string output =
        output_of(fmt::format("{} --requests 10 {} --spawn '{} --port 0 --work-ms 10 --hold-ms 1'",
                              program("stage07_client"), flag, program("stage07_contention")));
    INFO(output);
    CHECK(output.find("workers") == output.npos);
    CHECK(std::chrono::steady_clock::now() < start + 8s);  // a second for each of its rows
}
