#include <algorithm>
#include <list>
#include <numeric>

#include "clients/measure/csv_test.hpp"
#include "clients/probe/black_box.hpp"

using namespace unfreeze;

namespace {

using Rows = std::vector<CsvRow>;

int number(const CsvRow& row, const std::string& name) { return std::stoi(row.at(name)); }

/// The rows of a stage. The 24 requests are after the silent client.
struct Seen {
    CsvRow silent;
    Rows requests;
    CsvRow server;
    Rows readings;

    Seen(const Rows& rows, const std::string& stage) {
        for (const CsvRow& row : rows) {
            if (row.at("stage") == stage) {
                const std::string& kind = row.at("kind");
                (kind == "server"             ? server
                 : kind == "pending"          ? readings.emplace_back()
                 : row.at("what") == "silent" ? silent
                                              : requests.emplace_back()) = row;
            }
        }
        REQUIRE(requests.size() == 24);
        REQUIRE(!server.empty());
        CHECK(silent.at("status") == "none");
    }

    std::ptrdiff_t count(const std::string& column, const std::string& value) const {
        return std::count_if(requests.begin(), requests.end(),
                             [&](const CsvRow& row) { return row.at(column) == value; });
    }

    /// The times at which work was done in the first group of requests, in order.
    std::vector<int> first_done() const {
        std::vector<int> times;
        for (const CsvRow& row : Rows(requests.begin(), requests.begin() + 12)) {
            if (!row.at("done_ms").empty() && row.at("done_ms") != "never") {
                times.push_back(number(row, "done_ms"));
            }
        }
        std::sort(times.begin(), times.end());
        return times;
    }

    /// The time between the two events of one user.
    int between_the_same_user() const {
        REQUIRE(requests[1].at("what") == requests[2].at("what"));
        return std::abs(number(requests[2], "done_ms") - number(requests[1], "done_ms"));
    }

    int slowest_response() const {
        int slowest = 0;
        for (const CsvRow& row : requests) {
            slowest = std::max(slowest, number(row, "until_ms") - number(row, "at_ms"));
        }
        return slowest;
    }
};

/// The smallest difference of two neighbours.
int smallest_step(std::vector<int> times) {
    REQUIRE(times.size() > 2);
    std::adjacent_difference(times.begin(), times.end(), times.begin());
    return *std::min_element(times.begin() + 1, times.end());
}

/// What each stage's note says of its picture. A job takes 500 ms.
void check_all_stages(const Rows& rows) {
    std::vector<Seen> stages;
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        stages.emplace_back(rows, std::to_string(stage));
    }
    const auto stage = [&](std::size_t n) -> const Seen& { return stages.at(n - 1); };
    const int signalled = number(stage(1).server, "at_ms");

    CHECK(stage(1).count("status", "none") == 24);
    CHECK(stage(2).count("status", "200") == 24);
    for (std::size_t n = 3; n <= last_stage; ++n) {
        INFO("stage " << n);
        CHECK(stage(n).count("status", "400") == 2);
        CHECK(stage(n).count("what", "garbage") == 2);
    }
    CHECK(stage(3).count("status", "200") == 22);
    CHECK(stage(3).count("done_ms", "") == 24);  // it does no work

    // The staircase: one response each half second, when the work is done.
    CHECK(stage(4).count("status", "none") > 12);
    CHECK(smallest_step(stage(4).first_done()) > 400);
    CHECK(stage(4).count("done_ms", "never") == 0);

    // From stage 5 on, every response is fast.
    for (std::size_t n = 5; n <= last_stage; ++n) {
        INFO("stage " << n);
        CHECK(stage(n).slowest_response() < 400);
        CHECK(stage(n).count("status", "none") == 0);
    }
    CHECK(stage(5).count("status", "503") >= 4);
    CHECK(smallest_step(stage(5).first_done()) > 400);

    // Four workers do the eleven events of the first group in three rounds.
    const std::vector<int> by_four = stage(6).first_done();
    REQUIRE(by_four.size() == 11);
    CHECK(by_four[3] - by_four[0] < 400);
    CHECK(by_four[10] - by_four[0] > 800);
    CHECK(by_four[10] - by_four[0] < 1'800);
    CHECK(stage(6).between_the_same_user() < 200);

    // One lock makes a line of them, and 64 locks do not, except for the events of one user.
    const std::vector<int> in_line = stage(7).first_done();
    REQUIRE(in_line.size() == 11);
    CHECK(smallest_step(in_line) > 200);
    CHECK(in_line[10] - in_line[0] > 2'400);
    for (std::size_t n = 8; n <= last_stage; ++n) {
        INFO("stage " << n);
        const std::vector<int> sharded = stage(n).first_done();
        REQUIRE(sharded.size() == 11);
        CHECK(sharded[10] - sharded[0] < 2'000);
        CHECK(stage(n).between_the_same_user() > 200);
    }

    // The counters of the server show the same as its clients see.
    for (std::size_t n = 1; n <= last_stage; ++n) {
        CHECK(stage(n).readings.empty() == (n < 9));
    }
    for (const std::size_t n : {9U, 10U}) {
        int most = 0;
        for (const CsvRow& reading : stage(n).readings) {
            most = std::max(most, number(reading, "n"));
        }
        CHECK(most >= 9);
        CHECK(most <= 12);  // the queue, and the jobs of four workers
    }

    // SIGTERM ends each server at once, and loses accepted events. Stage 10 drains.
    for (std::size_t n = 1; n < last_stage; ++n) {
        INFO("stage " << n);
        CHECK((stage(n).count("done_ms", "never") > 0) == (n >= 5));
        CHECK(stage(n).server.at("status") == "143");
        CHECK(number(stage(n).server, "until_ms") < signalled + 400);
    }
    CHECK(stage(10).count("done_ms", "never") == 0);
    CHECK(stage(10).count("done_ms", "") == stage(10).count("what", "garbage"));
    CHECK(stage(10).server.at("status") == "0");
    CHECK(number(stage(10).server, "until_ms") > signalled + 400);
    CHECK(stage(10).readings.back().at("n") < stage(9).readings.back().at("n"));
}

}  // namespace

TEST_CASE("The timeline of each stage shows the lesson of that stage", "[waits]") {
    if (sanitized) {
        return;
    }
    // They mostly wait, so they run side by side.
    const auto csv = [](std::size_t stage) {
        return std::filesystem::temp_directory_path() /
               fmt::format("timeline-{}-{}.csv", getpid(), stage);
    };
    std::list<Process> timelines;
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        timelines.emplace_back(
            Command{program("timeline"), std::to_string(stage), {"--csv", csv(stage).string()}});
    }
    Rows rows;
    for (std::size_t stage = 1; stage <= last_stage; ++stage, timelines.pop_front()) {
        REQUIRE(timelines.front().wait_for_end(std::chrono::seconds{30}));
        const Rows of_stage = take_csv_rows(csv(stage));
        rows.insert(rows.end(), of_stage.begin(), of_stage.end());
    }
    check_all_stages(rows);
}

TEST_CASE("The recorded timelines show the lesson of each stage") {
    const std::filesystem::path copy =
        std::filesystem::temp_directory_path() / fmt::format("timeline-{}.csv", getpid());
    std::filesystem::copy_file(source_tree / "docs" / "results" / "timeline.csv", copy);
    const Rows rows = take_csv_rows(copy);
    check_all_stages(rows);

    // ./lab notes shows the drawings in place of the pictures.
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        INFO("stage " << stage);
        const auto drawing = lines_of(source_tree / "docs" / "results" /
                                      fmt::format("timeline_stage{:02}.txt", stage));
        const Seen seen{rows, std::to_string(stage)};
        REQUIRE(drawing.size() > 27);
        for (std::size_t i = 0; i < seen.requests.size(); ++i) {
            const CsvRow& row = seen.requests[i];
            CHECK(drawing[i + 3].starts_with(
                fmt::format("{:>8}  {:<5}  ", row.at("what"), row.at("status"))));
            CHECK((drawing[i + 3].find("×") != std::string::npos) ==
                  (row.at("done_ms") == "never"));
        }
    }
}

TEST_CASE("The timeline is drawn as text, one line for each request") {
    if (sanitized) {
        return;
    }
    const std::string drawings =
        (std::filesystem::temp_directory_path() / fmt::format("timeline-{}-", getpid())).string();
    const std::string output = output_of({program("timeline"), "5", {"--drawings", drawings}});
    INFO(output);
    CHECK(output == "\n" + text_of(drawings + "05.txt") + "exit 0\n");
    std::filesystem::remove(drawings + "05.txt");
    const std::string done = "  user1  202         ┃┈┈┈┈";
    CHECK(output.find("\nstage05_backpressure --work-ms 500 --queue-capacity 8\n") != output.npos);
    CHECK(output.find("\n  silent  none   ━━━━━━") != output.npos);
    CHECK(output.find(done) != output.npos);
    CHECK(output.find("●") != output.npos);
    CHECK(output.find("\n garbage  400           ┃") != output.npos);
    CHECK(output.find("┈×\n") != output.npos);
    CHECK(output.find("exit status 143 after 4.") != output.npos);
    CHECK(output_of({program("timeline"), "11"}) ==
          "timeline: stage: expected a whole number from 0 to 10, got '11' (see --help)\nexit 2\n");
}
