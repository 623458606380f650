#include <list>
#include <map>

#include "clients/claims/black_box.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// The seconds that a server takes to process a burst of 24 events.
double time_work(std::string_view flags) {
    ServerProcess server{server_command("stage06_workers", flags)};
    const Burst burst = run_burst(server.target(), {.events = 24});
    CHECK(burst.accepted == 24);
    CHECK(burst.done);
    return burst.took.count();
}

/// A process's threads by name. A sanitizer's own may be among them.
std::map<std::string, pid_t> threads_of(pid_t pid) {
    std::map<std::string, pid_t> threads;
    for (const auto& task :
         std::filesystem::directory_iterator{fmt::format("/proc/{}/task", pid)}) {
        std::ifstream comm{task.path() / "comm"};
        std::string name;
        std::getline(comm, name);
        threads[name] = std::stoi(task.path().filename());
    }
    return threads;
}

}  // namespace

TEST_CASE("The claims of stage 6 have the same results with two I/O threads", "[full]") {
    check_trials(try_all_claims(course_command(6, "stage06_workers", "--io-threads 2")), 6);
}

TEST_CASE("Each variant of stage 6 changes the results of the claims that it names") {
    check_variants(6, 8);
}

TEST_CASE("No variant of stage 6 changes the result of any other claim", "[full]") {
    check_variants(6, 1);
}

TEST_CASE("Stage 6 reports each startup error in one sentence") {
    check_start_errors("stage06_workers");
    for (const char* const workers : {"0", "1001", "18446744073709551617", "-1", "+5", " 5", "010",
                                      "0x50", "1e3", "5.0", "[5]", "many", ""}) {
        CHECK(output_of({program("stage06_workers"), "--workers", {workers}}) ==
              fmt::format("stage06_workers: --workers: expected a whole number from 1 to 1000, got "
                          "'{}' (see --help)\nexit 2\n",
                          workers));
    }
    CHECK(output_of({program("stage06_workers"), "--io-threads many"}).ends_with("\nexit 2\n"));
    const std::string help = output_of({program("stage06_workers"), "--help"});
    CHECK(help.find(" --workers N") != std::string::npos);
    CHECK(help.find("threads that work on events (1 to 1000)") != std::string::npos);
}

TEST_CASE("If a thread can't be created, the server reports that in one sentence") {
    if (sanitized) {
        return;
    }
    const std::vector<std::string> little_memory{"prlimit", "--as=409600000"};
    CHECK(output_of(server_command("stage06_workers", "--workers 1000").run_by(little_memory))
              .ends_with("': Resource temporarily unavailable\nexit 2\n"));
    CHECK(
        output_of(
            server_command("stage06_workers", "--workers 1 --io-threads 64").run_by(little_memory))
            .ends_with("': Resource temporarily unavailable\nexit 2\n"));
}

TEST_CASE("The client of stage 6 distinguishes stage 6 from stage 5", "[full]") {
    const char* const flags = "--requests 200 --rate 1000";
    check_verdict(6, {"stage06_workers", "--work-ms 50"}, Verdict::as_expected, flags);
    check_verdict(6, {"stage05_backpressure", "--work-ms 50"}, Verdict::not_as_expected, flags);
}

TEST_CASE("Four workers are nearly four times as fast as one, and eight nearly eight times") {
    const double one = time_work("--work-ms 40 --workers 1");
    const double four = time_work("--work-ms 40 --workers 4");
    const double eight = time_work("--work-ms 40 --workers 8");
    CAPTURE(one, four, eight);
    CHECK(one > 3 * four);
    CHECK(one < 5 * four);
    CHECK(one > 5 * eight);
}

TEST_CASE("Threads have names") {
    ServerProcess server{server_command("stage06_workers", "--workers 2 --io-threads 3")};
    CHECK(probe(server.target(), frozen_after));
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    std::map<std::string, pid_t> threads;
    while (threads.size() < 5 && std::chrono::steady_clock::now() < deadline) {
        threads = threads_of(server.process().pid());
    }
    for (const char* const name : {"io 2", "io 3", "worker 1", "worker 2"}) {
        CAPTURE(name);
        CHECK(threads.contains(name));
    }
    CHECK(!threads.contains("worker 3"));
    CHECK(!threads.contains("io 4"));
}

TEST_CASE("With several I/O threads, each of them serves connections") {
    ServerProcess server{server_command("stage06_workers", "--work-ms 0 --io-threads 3")};
    std::list<Connection> connections;
    for (int i = 0; i < 9; ++i) {
        connections.emplace_back(server.target());
    }
    for (Connection& connection : connections) {
        REQUIRE(connection.send(post(event_body(0)) + post(event_body(1))));
    }
    for (Connection& connection : connections) {
        CHECK(connection.receive());
        CHECK(connection.receive());
    }
    const LoadReport load =
        run_load(server.target(), {.requests = 30'000, .concurrency = 60, .keep_alive = true});
    CHECK(load.errors_in_all() == 0);
    const auto threads = threads_of(server.process().pid());
    for (const char* const name : {"stage06_workers", "io 2", "io 3"}) {
        CAPTURE(name);
        CHECK(processor_time(threads.at(name)) >= 10ms);  // one tick, so it has had work to do
    }
}
