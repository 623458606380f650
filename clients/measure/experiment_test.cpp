#include <cstdlib>
#include <map>

#include "clients/measure/csv_test.hpp"
#include "clients/probe/black_box.hpp"
#include "clients/probe/overload.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// The rows that a program writes to its CSV file.
std::vector<CsvRow> rows_of(std::string_view name, std::string_view arguments) {
    const std::filesystem::path csv =
        std::filesystem::temp_directory_path() / fmt::format("experiment-{}.csv", getpid());
    const std::string output = output_of({program(name), arguments, {"--csv", csv.string()}});
    INFO(output);
    CHECK(output.ends_with("\nexit 0\n"));
    return take_csv_rows(csv);
}

/// The rows of an experiment that measures for a second each.
std::vector<CsvRow> rows_of(std::string_view arguments) {
    return rows_of("experiment", fmt::format("{} --seconds 1", arguments));
}

double number(const CsvRow& row, const std::string& name) { return std::stod(row.at(name)); }

}  // namespace

// These tests measure time, so they do not run under a sanitizer.

TEST_CASE("One lock caps the jobs a second, and shards do not", "[full]") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("contention --work-ms 20 --hold-ms 20 --rows 6");
    REQUIRE(rows.size() == 6);
    const CsvRow& lock = rows[4];
    const CsvRow& shards = rows[5];
    CHECK(lock.at("locks") == "lock");
    CHECK(shards.at("locks") == "shards");
    CHECK(shards.at("workers") == "4");
    CHECK(number(lock, "model") == 50.0);
    CHECK(number(shards, "model") == 100.0);
    for (const CsvRow& row : rows) {
        CHECK(number(row, "jobs_per_second") < 1.1 * number(row, "model"));
    }
    CHECK(number(shards, "jobs_per_second") > 1.3 * number(lock, "jobs_per_second"));
    CHECK(number(lock, "wait_mean_ms") > 10);  // two other workers wait for it
    CHECK(number(shards, "wait_mean_ms") < number(lock, "wait_mean_ms"));
}

TEST_CASE("The sharding experiment separates the effects of locks and of shorter work") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("sharding --work-ms 20 --hold-ms 10 --rows 4");
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].at("locks") == "lock");
    CHECK(rows[1].at("locks") == "shards");
    CHECK(rows[2].at("hold_ms") == "1");
    for (const std::size_t lock : {0U, 2U}) {
        const CsvRow& shards = rows[lock + 1];
        CHECK(number(shards, "jobs_per_second") > 1.5 * number(rows[lock], "jobs_per_second"));
        CHECK(number(shards, "latency_mean_ms") < number(rows[lock], "latency_mean_ms"));
        CHECK(number(shards, "latency_p99_ms") >= number(shards, "latency_mean_ms"));
        CHECK(number(shards, "accepted") > 116);  // the queue, and the jobs of the workers
    }
    CHECK(number(rows[2], "jobs_per_second") > 3 * number(rows[0], "jobs_per_second"));
    // Little's law: a full queue and all workers, at this rate.
    const double law = 116e3 / number(rows[0], "jobs_per_second");
    CHECK(number(rows[0], "latency_mean_ms") > 0.8 * law);
    CHECK(number(rows[0], "latency_mean_ms") < 1.2 * law);
}

TEST_CASE("More shards give more jobs a second, and a reader-writer lock does not", "[full]") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("lock-granularity --work-ms 20 --hold-ms 10 --rows 5");
    REQUIRE(rows.size() == 5);
    const double mutex = number(rows[0], "jobs_per_second");
    CHECK(number(rows[1], "jobs_per_second") < 1.2 * mutex);  // a reader-writer lock
    CHECK(number(rows[2], "jobs_per_second") > 1.5 * mutex);  // 4 shards
    CHECK(number(rows[2], "jobs_per_second") < 4.4 * mutex);
    CHECK(number(rows[3], "jobs_per_second") > 1.5 * number(rows[2], "jobs_per_second"));
    // Within a second perhaps no query gets the mutex, so there may be no quantile to compare.
    CHECK(10 * number(rows[0], "queries_per_second") < number(rows[3], "queries_per_second"));
}

TEST_CASE("The stage-throughput experiment accounts for every request", "[full]") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("stage-throughput");
    REQUIRE(rows.size() == 6);
    for (const CsvRow& row : rows) {
        INFO(row.at("stage") << ", " << row.at("connections"));
        CHECK(number(row, "accepted") + number(row, "rejected") == number(row, "requests"));
        CHECK(number(row, "p50_ms") <= number(row, "p99_ms"));
        // Little's law: the mean latency is the number in flight divided by the throughput.
        const double mean_ms = number(row, "at_a_time") * 1e3 / number(row, "answers_per_second");
        CHECK(number(row, "p50_ms") < 2.5 * mean_ms);
        if (row.at("stage") != "5") {
            CHECK(row.at("rejected") == "0");
        }
    }
    CHECK(rows[2].at("connections") == "one each");
    CHECK(rows[3].at("connections") == "keep-alive");
    CHECK(number(rows[3], "answers_per_second") > 1.5 * number(rows[2], "answers_per_second"));
    CHECK(number(rows[4], "answers_per_second") < 2.1);  // a job takes half a second
    CHECK(number(rows[4], "answers_per_second") > 1.5);
    CHECK(number(rows[5], "answers_per_second") > 1'000 * number(rows[4], "answers_per_second"));
    CHECK(number(rows[5], "accepted") > 100);  // the queue, and the jobs of the workers
    CHECK(number(rows[5], "accepted") < 200);
}

TEST_CASE("Two workers do twice and four workers four times the work of one") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("workers --work-ms 10 --rows 3");
    REQUIRE(rows.size() == 3);
    CHECK(number(rows[0], "last_done_after_ms") >= 1'000);
    CHECK(number(rows[1], "times_one") > 1.6);
    CHECK(number(rows[1], "times_one") < 2.2);
    CHECK(number(rows[2], "times_one") > 1.6 * number(rows[1], "times_one"));
    CHECK(number(rows[2], "times_one") < 4.4);
}

TEST_CASE("The wait and the memory of a queue grow with its capacity") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("queue-capacity --rows 4");
    REQUIRE(rows.size() == 4);
    CHECK(number(rows[2], "model_ms") == 254.0);  // 1,000 jobs, 16 at a time, then its own 4 ms
    for (const std::size_t row : {2U, 3U}) {
        INFO(rows[row].at("capacity"));
        CHECK(number(rows[row], "last_done_after_ms") > 0.9 * number(rows[row], "model_ms"));
        CHECK(number(rows[row], "last_done_after_ms") < 1.5 * number(rows[row], "model_ms"));
        CHECK(number(rows[row], "last_done_after_ms") >
              5 * number(rows[row - 1], "last_done_after_ms"));
    }
    const double places_kb = 9e3 * 72 / 1e3;  // 72 bytes each, allocated with the queue
    CHECK(1e3 * (number(rows[3], "memory_empty_mb") - number(rows[2], "memory_empty_mb")) >
          0.6 * places_kb);
    for (const CsvRow& row : rows) {
        CHECK(number(row, "memory_full_mb") >= number(row, "memory_empty_mb"));
    }
}

TEST_CASE("Twenty idle clients freeze stage 1 until they leave, and do not delay stage 2",
          "[full]") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("freeze");
    REQUIRE(rows.size() == 240);
    std::size_t frozen = 0;
    for (const CsvRow& row : rows) {
        const double at = number(row, "at_ms");
        const double answered_after = number(row, "answered_after_ms");
        INFO(row.at("stage") << " at " << at << ": " << answered_after);
        CHECK((row.at("silent_clients") == "20") == (at >= 2'000 && at < 4'000));
        if (row.at("stage") == "1" && row.at("silent_clients") == "20") {
            CHECK(at + answered_after > 3'999);  // not before they left
            CHECK(at + answered_after < 4'500);
            ++frozen;
        } else {
            CHECK(answered_after < 500);
        }
    }
    CHECK(frozen == 40);
}

TEST_CASE("A connection costs more as a thread than as a coroutine, and idle ones exhaust a pool") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("connections --rows 3");
    REQUIRE(rows.size() == 3);
    const CsvRow& coroutine = rows[0];
    const CsvRow& thread_each = rows[1];
    const CsvRow& pool = rows[2];
    for (const CsvRow& row : rows) {
        CHECK(row.at("held") == "1000");
    }
    CHECK(coroutine.at("threads") == "1");
    CHECK(thread_each.at("threads") == "1002");  // with the main thread and the one for notices
    CHECK(pool.at("threads") == "9");
    CHECK(number(thread_each, "kb_each") > 2 * number(coroutine, "kb_each"));
    CHECK(number(coroutine, "kb_each") > 2 * number(pool, "kb_each"));
    CHECK(number(coroutine, "probe_ms") < 500);
    CHECK(pool.at("probe_ms") == "none");
}

TEST_CASE("A mutex costs more than an atomic, and a shared cache line more than separate ones",
          "[full]") {
    if (sanitized) {
        return;
    }
    const std::vector<CsvRow> rows = rows_of("metrics_benchmark", "counters --rounds 3");
    REQUIRE(rows.size() == 6);
    std::map<std::string, CsvRow> ways;
    for (const CsvRow& row : rows) {
        ways[row.at("way")] = row;
    }
    const auto ns = [&](const char* way, const char* threads) {
        return number(ways.at(way), fmt::format("ns_by_{}", threads));
    };
    CHECK(ns("a mutex", "1_thread") > 1.5 * ns("a relaxed atomic", "1_thread"));
    CHECK(ns("a relaxed atomic", "1_thread") > 0.6 * ns("a seq_cst atomic", "1_thread"));
    CHECK(ns("a relaxed atomic", "1_thread") < 1.7 * ns("a seq_cst atomic", "1_thread"));
    CHECK(ns("a relaxed atomic", "1_thread") > ns("cells a line each", "1_thread"));
    // On two cores, two threads that share a cache line take longer than one; others do not.
    CHECK(ns("cells a line each", "2_threads") < 1.5 * ns("cells a line each", "1_thread"));
    CHECK(ns("a relaxed atomic", "2_threads") > 2 * ns("cells a line each", "2_threads"));
}

TEST_CASE(
    "Under overload the final server keeps its goodput, and servers without a bound lose theirs",
    "[full]") {
    if (sanitized) {
        return;
    }
    const auto offered = [](std::string_view server, std::string_view flags) {
        std::vector<CsvRow> rows = rows_of("goodput", fmt::format("{} {}", server, flags));
        REQUIRE(rows.size() == 2);
        for (const CsvRow& row : rows) {
            CHECK(row.at("server") == server);
            CHECK(number(row, "answered_p50_ms") <= number(row, "answered_p99_ms"));
            CHECK(number(row, "answered_p50_ms") <= number(row, "done_p50_ms"));
            CHECK(number(row, "in_time_per_second") < 1.1 * 100);  // one at a time, 10 ms each
        }
        CHECK(number(rows[0], "in_time_per_second") > 0.7 * 100);
        return rows;
    };
    const auto final_server = offered("stage10_shutdown", "--times 1,10 --seconds 2");
    const auto unbounded = offered("stage05_variant_unbounded_queue", "--times 1,5 --seconds 1");
    const auto work_first = offered("stage04_state", "--times 1,3 --seconds 1");
    CHECK(final_server[1].at("offered_per_second") == "1000");
    CHECK(number(final_server[1], "in_time_per_second") >=
          0.9 * number(final_server[0], "in_time_per_second"));
    CHECK(number(final_server[1], "refused_share") > 0.8);
    for (const auto& collapsed : {unbounded, work_first}) {
        INFO(collapsed[0].at("server"));
        CHECK(number(collapsed[1], "in_time_per_second") <
              0.5 * number(collapsed[0], "in_time_per_second"));
        CHECK(number(collapsed[1], "refused_share") == 0);
        CHECK(number(collapsed[1], "done_p99_ms") > 2 * number(final_server[1], "done_p99_ms"));
        for (const char* const answer : {"answered_p99_ms", "refused_p99_ms"}) {
            CHECK(number(final_server[1], answer) < 0.1 * number(collapsed[1], "done_p99_ms"));
        }
    }
    // The unbounded queue accepts fast and works late. Stage 4 responds when the work is done.
    CHECK(number(unbounded[1], "answered_p99_ms") < 0.1 * number(unbounded[1], "done_p99_ms"));
    CHECK(work_first[1].at("answered_p99_ms") == work_first[1].at("done_p99_ms"));
}

TEST_CASE("Coroutines cost less time and memory than threads") {
    if (sanitized) {
        return;
    }
    std::map<std::string, double> costs;
    for (const CsvRow& row : rows_of("coroutines", "--divide 20 --rounds 3")) {
        INFO(row.at("what"));
        CHECK(number(row, "measured") > 0);
        costs[row.at("what")] = number(row, "measured");
    }
    CHECK(costs.size() == 14);
    const auto much_less = [&](const char* one, const char* other, double times) {
        INFO(one << ": " << costs.at(one) << "; " << other << ": " << costs.at(other));
        CHECK(times * costs.at(one) < costs.at(other));
    };
    much_less("spawn a coroutine and run it", "start and join a thread", 5);
    much_less("switch between coroutines", "switch between threads", 3);
    much_less("switch between coroutines", "switch between threads on one core", 3);
    much_less("resume a coroutine without Asio", "switch between coroutines", 2);
    much_less("memory of a waiting coroutine", "memory of a waiting thread", 2);
    much_less("stage10_shutdown: memory of each", "thread_per_connection: memory of each", 1.5);
    CHECK(costs.at("stage10_shutdown: idle connections") >=
          costs.at("thread_per_connection: idle connections"));
}

TEST_CASE("Goodput rejects a load that it can't offer with one sentence") {
    CHECK(output_of({program("goodput"), "stage01_blocking"}) ==
          "goodput: unknown server 'stage01_blocking'; choose one of: all, stage10_shutdown, "
          "stage04_state, stage05_variant_unbounded_queue\nexit 2\n");
    for (const char* const times : {"x", "0", "1,,2", "2x", "21", "nan", "1,-1"}) {
        INFO(times);
        CHECK(output_of({program("goodput"), fmt::format("--times {}", times)})
                  .starts_with("goodput: --times: expected numbers from 0.1 to 20, got '"));
    }
    CHECK(output_of({program("goodput"), "--times", {""}}) ==
          "goodput: --times: expected numbers from 0.1 to 20, got none\nexit 2\n");
    CHECK(output_of(Command{program("goodput"), ""}.run_by({"prlimit", "--nofile=1000"})) ==
          "goodput: --times needs up to 4000 connections, and this process may open 1000 "
          "descriptors\nexit 2\n");
    CHECK(output_of({program("goodput"), "--csv /nowhere/a.csv"}) ==
          "goodput: can't write to /nowhere/a.csv\nexit 2\n");
    CHECK(output_of({program("coroutines"), "--divide 0"}).ends_with("(see --help)\nexit 2\n"));
}

TEST_CASE("Experiment rejects wrong arguments with one sentence") {
    const std::string unknown = output_of({program("experiment"), "fly"});
    INFO(unknown);
    CHECK(unknown.find("'fly'") != unknown.npos);
    CHECK(
        unknown.ends_with(": contention, sharding, lock-granularity, stage-throughput, "
                          "queue-capacity, workers, freeze, connections\nexit 2\n"));
    CHECK(output_of({program("experiment"), "sharding --csv /nowhere/a.csv"}) ==
          "experiment: can't write to /nowhere/a.csv\nexit 2\n");
    for (const char* const flags : {"--hold-ms 9", "--hold-ms 60", "--work-ms 510"}) {
        INFO(flags);
        CHECK(output_of({program("experiment"), fmt::format("sharding {}", flags)})
                  .ends_with("(see --help)\nexit 2\n"));
    }
    CHECK(
        output_of({program("experiment"), "sharding --work-ms 25"}) ==
        "experiment: --work-ms and --hold-ms must be multiples of 10: the sharding experiment also "
        "uses a tenth of them\nexit 2\n");
}

TEST_CASE("A measurement fails if its server ends") {
    if (sanitized) {  // stdbuf's library and the sanitizer's must both be loaded first
        return;
    }
    const Command command =
        server_command("stage07_contention", "--work-ms 10 --hold-ms 10 --queue-capacity 10")
            .run_by({"timeout", "2"});
    CHECK_THROWS_WITH(measure_overload({.command = command, .span = 5s}),
                      "the server exited or printed nothing while it was measured");
}

TEST_CASE("The stage 7 client prints no table of workers with --json or --until-done") {
    const char* const flag = GENERATE("--json", "--until-done");
    const auto start = std::chrono::steady_clock::now();
    const std::string server =
        shell_word(program("stage07_contention")) + " --port 0 --work-ms 10 --hold-ms 1";
    const std::string output = output_of(
        {program("client"), fmt::format("7 --requests 10 {}", flag), {"--spawn", server}});
    INFO(output);
    CHECK(output.find("workers") == output.npos);
    CHECK(std::chrono::steady_clock::now() < start + 8s);  // a second for each of its rows
}
