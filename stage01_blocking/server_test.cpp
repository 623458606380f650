#include <signal.h>

#include "clients/claims/black_box.hpp"
#include "clients/probe/connection.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

TEST_CASE("The server answers a request with its own body and a Date, and closes the connection") {
    ServerProcess server{server_command("stage01_blocking")};
    Connection connection{server.target()};
    REQUIRE(connection.send(post("any bytes \x01\xff at all")));
    const auto response = connection.receive();
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(response->body == "any bytes \x01\xff at all");
    CHECK(response->field("Date").ends_with(" GMT"));
    CHECK(response->field("Connection") == "close");
    CHECK(connection.closed_by_server());
}

TEST_CASE("Each variant of stage 1 changes the results of the claims that it names") {
    check_variants(1, 8);
}

TEST_CASE("No variant of stage 1 changes the result of any other claim", "[full]") {
    check_variants(1, 1);
}

TEST_CASE("Stage 1 reports each startup error in one sentence") {
    check_start_errors("stage01_blocking");
}

TEST_CASE("The client of stage 1 distinguishes stage 1 from stage 2", "[waits]") {
    check_verdict(1, {"stage01_blocking"}, Verdict::as_expected);
    check_verdict(1, {"stage02_async"}, Verdict::not_as_expected);
}

TEST_CASE("A server that the client has spawned ends when the client is killed") {
    Process client{{program("client"),
                    "1 --requests 100000000",
                    {"--spawn", shell_word(program("stage01_blocking")) + " --port 0"}}};
    const auto address = client.wait_for_line("load on ", 10s);
    REQUIRE(address);
    const auto target = parse_target(address->substr(0, address->find(": ")));
    REQUIRE(target);
    kill(client.pid(), SIGKILL);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (Connection{*target}.connected() && std::chrono::steady_clock::now() < deadline) {
    }
    CHECK(!Connection{*target}.connected());
}
