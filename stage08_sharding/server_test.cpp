#include <vector>

#include "clients/claims/black_box.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// Jobs per second in a burst of 64 events, spread over `users` users.
double rate(std::size_t users, std::string_view flags) {
    ServerProcess server{server_command(
        "stage08_sharding", fmt::format("--work-ms 20 --hold-ms 20 --workers 16 {}", flags))};
    const Burst burst = run_burst(server.target(), {.events = 64, .users = users});
    CHECK(burst.accepted == 64);
    CHECK(burst.done);
    return 64 / burst.took.count();
}

/// Waits until the server has printed lines for `jobs` jobs, each a moment after the balance
/// changed. Returns false after 10 s.
bool wait_for_jobs(Process& process, std::size_t jobs) {
    constexpr std::string_view line_start = "\n[worker ";  // "listening on" is the line above
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    std::string output;
    std::size_t printed = 0;
    for (std::size_t next = 0; printed < jobs && std::chrono::steady_clock::now() < deadline;) {
        const std::size_t at = output.find(line_start, next);
        if (at == output.npos) {
            output += process.wait_for_more(output.size(), 1s);
        } else {
            next = at + 1;
            ++printed;
        }
    }
    return printed == jobs;
}

}  // namespace

TEST_CASE("Each variant of stage 8 changes the results of the claims that it names") {
    check_variants(8, 8);
}

TEST_CASE("No variant of stage 8 changes the result of any other claim", "[full]") {
    check_variants(8, 1);
}

TEST_CASE("Stage 8 reports each startup error in one sentence") {
    check_start_errors("stage08_sharding");
    for (const char* const shards : {"0", "48", "131072", "-1", "many", ""}) {
        CHECK(
            output_of({program("stage08_sharding"), "--shards", {shards}}) ==
            fmt::format("stage08_sharding: --shards: expected a power of two from 1 to 65536, got "
                        "'{}' (see --help)\nexit 2\n",
                        shards));
    }
}

TEST_CASE("The client of stage 8 distinguishes stage 8 from stage 7 and from a variant", "[full]") {
    const char* const flags = "--requests 500";
    check_verdict(8, {"stage08_sharding", "--work-ms 60 --hold-ms 15"}, Verdict::as_expected,
                  flags);
    check_verdict(8, {"stage07_contention", "--work-ms 60 --hold-ms 15"}, Verdict::not_as_expected,
                  flags);
    check_verdict(8, {"stage08_variant_length_for_hash", "--work-ms 60 --hold-ms 15"},
                  Verdict::not_as_expected, flags);
}

TEST_CASE("Many locks raise the rate, except for one user or one shard") {
    const double many_users = rate(64, "");
    const double one_user = rate(1, "");
    const double one_shard = rate(64, "--shards 1");
    CAPTURE(many_users, one_user, one_shard);
    CHECK(one_user < 52);  // 1 / hold is 50; the rest is tolerance
    CHECK(one_shard < 52);
    CHECK(many_users > 2 * one_user);
    CHECK(many_users > 2 * one_shard);
}

TEST_CASE("With 64 workers and 200 connections, every user's balance is exact") {
    const char* const flags = GENERATE("--work-ms 0 --hold-ms 0", "--work-ms 1 --hold-ms 1");
    constexpr std::size_t events = 6'000;
    ServerProcess server{server_command(
        "stage08_sharding", fmt::format("--workers 64 --queue-capacity 10000 {}", flags))};
    std::vector<Account> accounts;
    while (accounts.size() < 30) {
        accounts.emplace_back(server.target());
    }
    const auto amount = [](std::size_t n) { return static_cast<std::int64_t>(n % 7); };
    const LoadReport load = run_load(
        server.target(),
        {.requests = events, .concurrency = 200, .keep_alive = true, .body = [&](std::size_t n) {
             return accounts[n % accounts.size()].event(amount(n));
         }});
    REQUIRE(load.accepted == events);
    std::vector<std::int64_t> expected(accounts.size());
    for (std::size_t n = 0; n < events; ++n) {
        expected[n % accounts.size()] += amount(n);
    }
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        CHECK(accounts[i].wait_for(expected[i]) == expected[i]);
    }
    REQUIRE(wait_for_jobs(server.process(), events));
    kill(server.process().pid(), SIGTERM);
    REQUIRE(server.process().wait_for_end(5s));
    CHECK(server.process().output().find("[total] 6000 jobs ") != std::string::npos);
}
