#include <vector>

#include "clients/claims/black_box.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// Jobs a second, of 64 that are offered at once for so many users.
double rate(std::size_t users, std::string_view flags) {
    ServerProcess server{server_command(
        "stage08_sharding", fmt::format("--work-ms 20 --hold-ms 20 --workers 16 {}", flags))};
    const Burst burst = run_burst(server.target(), {.events = 64, .users = users});
    CHECK(burst.accepted == 64);
    CHECK(burst.done);
    return 64 / burst.took.count();
}

/// Waits until the server has told of so many jobs, which it does a moment after each has changed
/// the balance. False where it has not in 10 s.
bool wait_for_jobs(Process& process, std::size_t jobs) {
    constexpr std::string_view line_start = "\n[worker ";  // "listening on" stands above
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    std::string output;
    std::size_t told = 0;
    for (std::size_t next = 0; told < jobs && std::chrono::steady_clock::now() < deadline;) {
        const std::size_t at = output.find(line_start, next);
        if (at == output.npos) {
            output += process.wait_for_more(output.size(), 1s);
        } else {
            next = at + 1;
            ++told;
        }
    }
    return told == jobs;
}

}  // namespace

TEST_CASE("Each variant of stage 8 turns the claims that it names") { check_variants(8, 8); }

TEST_CASE("No variant of stage 8 turns another claim", "[full]") { check_variants(8, 1); }

TEST_CASE("A wrong start of stage 8 ends in one sentence") {
    check_start_errors("stage08_sharding");
    for (const char* const shards : {"0", "48", "131072", "-1", "many", ""}) {
        CHECK(
            output_of({program("stage08_sharding"), "--shards", {shards}}) ==
            fmt::format("stage08_sharding: --shards: expected a power of two from 1 to 65536, got "
                        "'{}' (see --help)\nexit 2\n",
                        shards));
    }
}

TEST_CASE("The client of stage 8 tells stage 8 from stage 7 and from its variants", "[full]") {
    const char* const flags = "--requests 500";
    check_verdict(8, {"stage08_sharding", "--work-ms 60 --hold-ms 15"}, Verdict::as_expected,
                  flags);
    check_verdict(8, {"stage07_contention", "--work-ms 60 --hold-ms 15"}, Verdict::not_as_expected,
                  flags);
    check_verdict(8, {"stage08_variant_length_for_hash", "--work-ms 60 --hold-ms 15"},
                  Verdict::not_as_expected, flags);
}

TEST_CASE("Many locks let through what one does not, but for one user, and for one shard") {
    const double many_users = rate(64, "");
    const double one_user = rate(1, "");
    const double one_shard = rate(64, "--shards 1");
    CAPTURE(many_users, one_user, one_shard);
    CHECK(one_user < 52);  // 1 / hold, but for the last digits
    CHECK(one_shard < 52);
    CHECK(many_users > 2 * one_user);
    CHECK(many_users > 2 * one_shard);
}

TEST_CASE("64 workers and 200 connections keep every user's sum") {
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
