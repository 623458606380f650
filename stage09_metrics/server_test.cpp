#include <list>

#include "clients/claims/black_box.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

std::string response_to(const Target& target, std::string_view request) {
    Connection connection{target};
    connection.send(request);
    const auto response = connection.receive();
    return response ? status_and_body(*response) : "no response";
}

const std::string metrics_query = post(R"({"type":"metrics"})");
const std::string scrape = "GET /metrics HTTP/1.1\r\nHost: unfreeze\r\n\r\n";

}  // namespace

TEST_CASE("Each variant of stage 9 changes the results of the claims that it names") {
    check_variants(9, 8);
}

TEST_CASE("No variant of stage 9 changes the result of any other claim", "[full]") {
    check_variants(9, 1);
}

TEST_CASE("Stage 9 reports each startup error in one sentence") {
    check_start_errors("stage09_metrics");
}

TEST_CASE("The client of stage 9 distinguishes stage 9 from the adjacent stages", "[full]") {
    const char* const flags = "--requests 500";
    check_verdict(9, {"stage09_metrics", "--work-ms 60 --hold-ms 15"}, Verdict::as_expected, flags);
    check_verdict(9, {"stage08_sharding", "--work-ms 60 --hold-ms 15"}, Verdict::not_as_expected,
                  flags);
    check_verdict(9, {"stage10_shutdown", "--work-ms 60 --hold-ms 15"}, Verdict::not_as_expected,
                  flags);
}

#if defined(__SANITIZE_THREAD__)
TEST_CASE("ThreadSanitizer reports the data race of plain counters") {
    ServerProcess server{server_command("stage09_variant_plain_counters",
                                        "--work-ms 0 --hold-ms 0 --queue-capacity 1000")};
    run_load(server.target(), {.requests = 200,
                               .concurrency = 4,
                               .keep_alive = true,
                               .timeout_ms = std::chrono::seconds{10}});
    CHECK(server.process().wait_for_output("WARNING: ThreadSanitizer: data race"));
    CHECK(server.process().wait_for_output("Counter::add"));
}
#endif

TEST_CASE("The server's counters match its clients' responses") {
    ServerProcess server{server_command("stage09_metrics",
                                        "--queue-capacity 10 --workers 2 --work-ms 5 --hold-ms 0 "
                                        "--io-threads 2")};
    const Target& target = server.target();
    const LoadReport load =
        run_load(target, {.requests = 2'000, .concurrency = 50, .keep_alive = true});
    REQUIRE(load.accepted + load.rejected == 2'000);
    CHECK(load.accepted > 0);
    CHECK(load.rejected > 0);
    const std::string expected =
        fmt::format(R"(200 {{"received":2000,"processed":{},"dropped":{},"pending":0}})",
                    load.accepted, load.rejected);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (response_to(target, metrics_query) != expected &&
           std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    CHECK(response_to(target, metrics_query) == expected);
    while (response_to(target, scrape).find("\nunfreeze_workers_busy 0\n") == std::string::npos &&
           std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();  // a worker counts its job before it is no longer busy
    }
    CHECK(response_to(target, scrape).find("\nunfreeze_workers_busy 0\n") != std::string::npos);
    CHECK(response_to(target, post("no event")).starts_with("400 "));
    CHECK(response_to(target, "DELETE / HTTP/1.1\r\nHost: unfreeze\r\n\r\n").starts_with("405 "));
    CHECK(
        response_to(target, "GET /nowhere HTTP/1.1\r\nHost: unfreeze\r\n\r\n").starts_with("404 "));
    CHECK(response_to(target, post(R"({"type":"balance","user":"user0"})")).starts_with("200 "));
    const std::string text = response_to(target, scrape);
    for (const std::string& sample :
         {std::string{"unfreeze_requests_invalid_total 3"},
          std::string{"unfreeze_events_received_total 2000"},
          fmt::format("unfreeze_events_dropped_total {}", load.rejected),
          fmt::format("unfreeze_queue_wait_seconds_count {}", load.accepted),
          fmt::format("unfreeze_event_duration_seconds_count {}", load.accepted),
          std::string{"unfreeze_queue_depth 0"}, std::string{"unfreeze_queue_capacity 10"},
          std::string{"unfreeze_workers 2"}}) {
        INFO(sample);
        INFO(text);
        CHECK(text.find('\n' + sample + '\n') != std::string::npos);
    }
}

TEST_CASE("The gauges show the open connections, the busy workers and the queued events") {
    ServerProcess server{
        server_command("stage09_metrics", "--queue-capacity 10 --workers 2 --work-ms 3000")};
    std::list<Connection> connected;
    for (int i = 0; i < 3; ++i) {
        connected.emplace_back(server.target());
    }
    const Account account{server.target()};
    for (int i = 0; i < 5; ++i) {
        CHECK(response_to(server.target(), post(account.event(1))).starts_with("202 "));
    }
    const auto shows = [&](std::string_view sample) {
        return response_to(server.target(), scrape).find(sample) != std::string::npos;
    };
    const auto deadline = std::chrono::steady_clock::now() + 2s;
    while (!shows("\nunfreeze_queue_depth 3\n") && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    CHECK(shows("\nunfreeze_queue_depth 3\n"));
    CHECK(shows("\nunfreeze_workers_busy 2\n"));
    CHECK(shows("\nunfreeze_events_pending 5\n"));
    CHECK(shows("\nunfreeze_connections_open 4\n"));  // including the one of the scrape
    CHECK(response_to(server.target(), metrics_query) ==
          R"(200 {"received":5,"processed":0,"dropped":0,"pending":5})");
}
