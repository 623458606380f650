#include <list>

#include "clients/claims/black_box.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

std::string body_of(Connection& connection, std::string_view body) {
    REQUIRE(connection.send(post(body)));
    const auto response = connection.receive();
    REQUIRE(response);
    return status_and_body(*response);
}

}  // namespace

TEST_CASE("Each variant of stage 4 changes the results of the claims that it names") {
    check_variants(4, 8, 4);
}

TEST_CASE("No variant of stage 4 changes the result of any other claim", "[full]") {
    check_variants(4, 1, 4);
}

TEST_CASE("Stage 4 reports each startup error in one sentence") {
    check_start_errors("stage04_state");
    CHECK(output_of({program("stage04_state"), "--work-ms -1"}) ==
          "stage04_state: --work-ms: expected a whole number from 0 to 86400000, got '-1' (see "
          "--help)\nexit 2\n");
}

TEST_CASE("The client of stage 4 distinguishes stage 4 from the adjacent stages", "[full]") {
    check_verdict(4, {"stage04_state", "--work-ms 50"}, Verdict::as_expected, "");
    check_verdict(4, {"stage03_validation"}, Verdict::not_as_expected, "");
    check_verdict(4, {"stage05_backpressure", "--work-ms 50"}, Verdict::not_as_expected, "");
}

TEST_CASE("The responses to an event and to a query contain the balance") {
    ServerProcess server{server_command("stage04_state", "--work-ms 1")};
    Connection connection{server.target()};
    const auto response_to = [&](std::string_view body) { return body_of(connection, body); };
    CHECK(response_to(R"({"type":"balance","user":"a"})") == R"(200 {"user":"a","balance":0})");
    CHECK(response_to(R"({"user":"a","action":"buy","amount":100})") ==
          R"(200 {"status":"accepted","balance":100})");
    CHECK(response_to(R"({"user":"a","action":"sell","amount":-30})") ==
          R"(200 {"status":"accepted","balance":70})");
    CHECK(response_to(R"({"type":"balance","user":"a"})") == R"(200 {"user":"a","balance":70})");
    CHECK(response_to(R"({"user":"b","action":"buy","amount":9223372036854775807})") ==
          R"(200 {"status":"accepted","balance":9223372036854775807})");
    CHECK(response_to(R"({"user":"b","action":"buy","amount":1})") ==
          R"(200 {"status":"accepted","balance":9223372036854775807})");
    CHECK(response_to(R"({"type":"metrics"})") ==
          R"(400 {"status":"error","reason":"invalid_json",)"
          R"("detail":"unknown 'type' of query"})");
}

TEST_CASE("In stage 4, sixteen concurrent requests take as long as sixteen sequential ones") {
    ServerProcess server{server_command("stage04_state", "--work-ms 20")};
    const auto time = [&](std::size_t concurrency) {
        const LoadReport load =
            run_load(server.target(), {.requests = 16, .concurrency = concurrency});
        CHECK(load.accepted == 16);
        return load.duration;
    };
    const auto one = time(1);
    const auto sixteen = time(16);
    CHECK(sixteen < 3 * one / 2);
    CHECK(one < 3 * sixteen / 2);
}

TEST_CASE("A response does not wait for the work on the next request of its connection") {
    ServerProcess server{server_command("stage04_state", "--work-ms 300")};
    Connection connection{server.target()};
    REQUIRE(connection.send(post(event_body(0)) + post(event_body(1))));
    REQUIRE(connection.receive());
    const auto first = std::chrono::steady_clock::now();
    REQUIRE(connection.receive());
    CHECK(std::chrono::steady_clock::now() - first > 150ms);
}

TEST_CASE("The fourth of four concurrent requests waits four times as long as the first") {
    ServerProcess server{server_command("stage04_state", "--work-ms 100")};
    const LoadReport load = run_load(server.target(), {.requests = 4, .concurrency = 4});
    CHECK(load.accepted == 4);
    CHECK(load.latency.max() > 3 * load.latency.quantile(0.25));
    CHECK(load.latency.max() < 5 * load.latency.quantile(0.25));
}

TEST_CASE("Work continues after its client has left, and the next client is served", "[waits]") {
    ServerProcess server{server_command("stage04_state", "--work-ms 300")};
    Account account{server.target()};
    std::list<Connection> clients;
    while (clients.size() < 3) {
        REQUIRE(clients.emplace_back(server.target()).send(post(account.event(1))));
    }
    REQUIRE(clients.front().receive());  // so the server has read all three, and two are pending
    CHECK(account.balance() == 1);
    for (Connection& client : clients) {
        client.reset();
    }
    CHECK(account.wait_for(3) == 3);
    CHECK(probe(server.target(), 1s));
}
