#include <unistd.h>

#include <array>

#include "clients/claims/black_box.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// Jobs per second in a burst of 60 events.
double rate(std::string_view flags) {
    ServerProcess server{server_command("stage07_contention", flags)};
    const Burst burst = run_burst(server.target(), {.events = 60});
    CHECK(burst.accepted == 60);
    CHECK(burst.done);
    return 60 / burst.took.count();
}

}  // namespace

TEST_CASE("Each variant of stage 7 changes the results of the claims that it names") {
    check_variants(7, 8);
}

TEST_CASE("No variant of stage 7 changes the result of any other claim", "[full]") {
    check_variants(7, 1);
}

TEST_CASE("Stage 7 reports each startup error in one sentence") {
    check_start_errors("stage07_contention");
}

TEST_CASE("The client of stage 7 distinguishes stage 7 from stage 6 and from a fixed variant",
          "[full]") {
    const char* const flags = "--requests 500 --no-sweep";
    check_verdict(7, {"stage07_contention", "--work-ms 60 --hold-ms 15"}, Verdict::as_expected,
                  flags);
    check_verdict(7, {"stage06_workers", "--work-ms 50"}, Verdict::not_as_expected, flags);
    check_verdict(7, {"stage07_variant_hold_outside_lock", "--work-ms 60 --hold-ms 15"},
                  Verdict::not_as_expected, flags);
}

TEST_CASE("One lock caps the rate at 1 / hold, whatever the workers") {
    const double four = rate("--work-ms 20 --hold-ms 20 --workers 4");
    const double sixteen = rate("--work-ms 20 --hold-ms 20 --workers 16");
    CAPTURE(four, sixteen);
    CHECK(four < 52);  // 1 / hold is 50; the rest is tolerance
    CHECK(sixteen < 52);
    CHECK(sixteen < 1.3 * four);
    CHECK(four < 1.3 * sixteen);
}

TEST_CASE("The server prints a line for each job, for each second and for all jobs at the end") {
    ServerProcess server{server_command("stage07_contention", "--work-ms 1 --hold-ms 1")};
    Connection connection{server.target()};
    REQUIRE(connection.send(post(R"({"user":"alice","action":"buy","amount":30})")));
    REQUIRE(connection.receive());
    REQUIRE(server.process().wait_for_output("[second] "));
    CHECK(server.process().output().find("] user=alice balance=30 wait=0.") != std::string::npos);
    CHECK(server.process().output().find("[second] 0.0 jobs") == std::string::npos);
    kill(server.process().pid(), SIGTERM);
    REQUIRE(server.process().wait_for_end(5s));
    CHECK(server.process().output().find("[total] 1 jobs   wait mean ") != std::string::npos);
}

TEST_CASE("A server whose output is not read still processes all events, and ends on a signal",
          "[waits]") {
    std::array<int, 2> unread{};
    REQUIRE(pipe(unread.data()) == 0);
    ServerProcess server{
        fmt::format("exec {} --port {{port}} --work-ms 0 --hold-ms 0 --queue-capacity 10000 "
                    ">/proc/{}/fd/{}",
                    shell_word(program("stage07_contention")), getpid(), unread[1])};
    // A pipe holds 64 KiB, and a line has 60 bytes.
    Account account{server.target()};
    const LoadReport load = run_load(
        server.target(),
        {.requests = 4'000, .concurrency = 50, .keep_alive = true, .body = [&](std::size_t) {
             return account.event(1);
         }});
    CHECK(load.accepted == 4'000);
    CHECK(account.wait_for(4'000) == 4'000);
    kill(server.process().pid(), SIGTERM);
    CHECK(server.process().wait_for_end(5s));
    close(unread[0]);
    close(unread[1]);
}
