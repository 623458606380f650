#include <list>

#include "clients/claims/black_box.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// The growth of a server's memory under a load of many events, in KiB.
long growth(std::string_view name) {
    ServerProcess server{server_command(name, "--work-ms 1000")};
    CHECK(probe(server.target(), frozen_after));
    const auto memory = [&] { return status_number(server.process().pid(), "VmRSS"); };
    const long before = memory();
    const LoadReport load =
        run_load(server.target(), {.requests = 60'000, .concurrency = 20, .keep_alive = true});
    CHECK(load.errors_in_all() == 0);
    return memory() - before;
}

}  // namespace

TEST_CASE("Each variant of stage 5 changes the results of the claims that it names") {
    check_variants(5, 8);
}

TEST_CASE("No variant of stage 5 changes the result of any other claim", "[full]") {
    check_variants(5, 1);
}

TEST_CASE("Stage 5 reports each startup error in one sentence") {
    check_start_errors("stage05_backpressure");
    CHECK(output_of({program("stage05_backpressure"), "--queue-capacity 0"}) ==
          "stage05_backpressure: --queue-capacity: expected a whole number from 1 to 1000000, got "
          "'0' (see --help)\nexit 2\n");
}

TEST_CASE("The client of stage 5 distinguishes stage 5 from the adjacent stages and from a variant",
          "[full]") {
    const char* const flags = "--requests 2000";
    check_verdict(5, {"stage05_backpressure", "--work-ms 50"}, Verdict::as_expected, flags);
    check_verdict(5, {"stage05_variant_unbounded_queue", "--work-ms 50"}, Verdict::not_as_expected,
                  flags);
    check_verdict(5, {"stage06_workers", "--work-ms 50"}, Verdict::not_as_expected, flags);
    check_verdict(5, {"stage04_state", "--work-ms 10"}, Verdict::not_as_expected, "--requests 100");
}

TEST_CASE("An event gets 202 if the queue has capacity, and 503 with Retry-After if not") {
    ServerProcess server{
        server_command("stage05_backpressure", "--work-ms 60000 --queue-capacity 1")};
    Connection connection{server.target()};
    const auto send = [&] {
        REQUIRE(connection.send(post(event_body(0))));
        const auto response = connection.receive();
        REQUIRE(response);
        CHECK(response->keep_alive);
        if (response->status == 202) {
            CHECK(response->body == "{\"status\":\"accepted\"}\n");
            CHECK(response->field("Retry-After") == "");
        } else {
            CHECK(response->status == 503);
            CHECK(response->body == "{\"status\":\"rejected\",\"reason\":\"server_busy\"}\n");
            CHECK(response->field("Retry-After") == "1");
        }
        return response->status;
    };
    // The worker pops the first event, and the next one fills the queue.
    CHECK(send() == 202);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (send() != 202 && std::chrono::steady_clock::now() < deadline) {
    }
    for (int i = 0; i < 10; ++i) {
        CHECK(send() == 503);
    }
}

TEST_CASE("A burst of 10,000 events against a capacity of 100 loses and duplicates nothing") {
    const auto [name, flags] =
        GENERATE(CourseServer{"stage05_backpressure", "--work-ms 1"},
                 CourseServer{"stage05_backpressure", "--work-ms 0"},
                 CourseServer{"stage06_workers", "--work-ms 1 --workers 8 --io-threads 2"});
    ServerProcess server{server_command(name, flags)};
    Account accounts{server.target(), 10};
    const LoadReport load = run_load(
        server.target(),
        {.requests = 10'000, .concurrency = 200, .keep_alive = true, .body = [&](std::size_t n) {
             return accounts.event(1, n);
         }});
    CHECK(load.accepted + load.rejected == 10'000);
    CHECK(load.accepted >= 100);
    CHECK((load.rejected > 0 ||
           flags.ends_with(" 0")));  // if work takes no time, workers may keep up

    const auto accepted = static_cast<std::int64_t>(load.accepted);
    CHECK(accounts.wait_for(accepted) == accepted);
    CHECK(wait_until_idle(server.target(), 5s));  // so that a duplicate shows as well
    CHECK(accounts.balance() == accepted);
}

TEST_CASE("The server accepts only the events that it processes and that its queue holds") {
    ServerProcess server{
        server_command("stage05_backpressure", "--work-ms 200 --queue-capacity 20")};
    const Account account{server.target()};
    const LoadReport load =
        run_load(server.target(), {.requests = 400,
                                   .concurrency = 10,
                                   .keep_alive = true,
                                   .rate = 400,
                                   .body = [&](std::size_t) { return account.event(1); }});
    const auto done = account.balance();
    REQUIRE(done);
    CHECK(*done >= 2);
    // The queue is full, and one job is in progress; one may have ended since the last request.
    const auto waiting = static_cast<std::int64_t>(load.accepted) - *done;
    CHECK(waiting >= 20);
    CHECK(waiting <= 21);
    CHECK(load.accepted + load.rejected == 400);
    // A refusal waits for nothing, so it is much faster than the 200 ms of a job.
    CHECK(load.rejection_latency.quantile(0.9) < 50ms);
}

TEST_CASE("Memory stays flat under overload, and grows if the queue has no bound") {
    if (sanitized) {
        return;
    }
    const long bounded = growth("stage05_backpressure");
    const long unbounded = growth("stage05_variant_unbounded_queue");
    CAPTURE(bounded, unbounded);
    CHECK(4 * bounded < unbounded);
}

TEST_CASE("If the queue has no bound, accepted events wait several times as long") {
    if (sanitized) {
        return;
    }
    const auto time_to_end = [](std::string_view name) {
        ServerProcess server{server_command(name, "--work-ms 1 --queue-capacity 50")};
        Account account{server.target()};
        const LoadReport load = run_load(
            server.target(),
            {.requests = 3'000, .concurrency = 20, .keep_alive = true, .body = [&](std::size_t) {
                 return account.event(1);
             }});
        const auto accepted = static_cast<std::int64_t>(load.accepted);
        const auto start = std::chrono::steady_clock::now();
        CHECK(account.wait_for(accepted) == accepted);
        return std::chrono::steady_clock::now() - start;
    };
    CHECK(4 * time_to_end("stage05_backpressure") < time_to_end("stage05_variant_unbounded_queue"));
}

TEST_CASE("A connection over the limit waits in the backlog until another one closes", "[waits]") {
    const auto [name, flags] =
        GENERATE(CourseServer{"stage05_backpressure"}, CourseServer{"stage06_workers"},
                 CourseServer{"stage06_workers", "--io-threads 2"});
    ServerProcess server{
        server_command(name, fmt::format("--connections-max 2 --work-ms 0 {}", flags))};
    std::list<Connection> held;
    while (held.size() < 2) {
        Connection& connection = held.emplace_back(server.target());
        REQUIRE(connection.send(post(event_body(0))));
        REQUIRE(connection.receive());
    }
    const auto descriptors_before = descriptors(server.process().pid());
    Connection waiting{server.target()};
    CHECK(waiting.connected());  // by the kernel
    REQUIRE(waiting.send(post(event_body(0))));
    CHECK(!waiting.receive(300ms));
    CHECK(descriptors(server.process().pid()) ==
          descriptors_before);  // the server uses none for it
    held.pop_front();
    const auto response = waiting.receive(5s);
    REQUIRE(response);
    CHECK(response->status == 202);
}

TEST_CASE("Each connection releases its permit, however it ends") {
    ServerProcess server{server_command("stage05_backpressure",
                                        "--connections-max 3 --work-ms 0 --queue-capacity 1000")};
    for (int i = 0; i < 20; ++i) {
        Connection good{server.target()};
        good.send(post(event_body(0)));
        CHECK(good.receive());
        Connection bad{server.target()};
        bad.send("hello\r\n\r\n");
        bad.finish_sending();
        Connection gone{server.target()};
        gone.send("POST / HT");
        gone.reset();
    }
    const LoadReport load = run_load(server.target(), {.requests = 300, .concurrency = 50});
    CHECK(load.accepted == 300);
}
