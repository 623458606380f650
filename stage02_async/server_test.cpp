#include <list>

#include "clients/claims/black_box.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/silent_connections.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

TEST_CASE("Each variant of stage 2 changes the results of the claims that it names") {
    check_variants(2, 8);
}

TEST_CASE("No variant of stage 2 changes the result of any other claim", "[full]") {
    check_variants(2, 1);
}

TEST_CASE("Stage 2 reports each startup error in one sentence") {
    check_start_errors("stage02_async");
}

TEST_CASE("The client of stage 2 distinguishes stage 2 from the adjacent stages", "[full]") {
    check_verdict(2, {"stage02_async"}, Verdict::as_expected);
    check_verdict(2, {"stage03_validation"}, Verdict::not_as_expected);
    check_verdict(2, {"stage01_blocking"}, Verdict::not_as_expected);
}

TEST_CASE("A server without free descriptors pauses accepting, logs that once, and recovers",
          "[waits]") {
    const std::string name =
        GENERATE("stage02_async", "stage03_validation", "thread_per_connection");
    ServerProcess server{server_command(name).run_by({"prlimit", "--nofile=16"})};
    {
        std::list<Connection> clients;
        while (clients.size() < 40) {
            REQUIRE(clients.emplace_back(server.target()).connected());
        }
        REQUIRE(server.process().wait_for_output(
            "accept paused: Too many open files; retrying every 100 ms\n"));

        // A server that retries without a pause would use all of this time.
        const auto before = processor_time(server.process().pid());
        CHECK(!probe(server.target(), 500ms));
        CHECK(processor_time(server.process().pid()) - before < 100ms);
    }
    // The server accepts again at once. It logs that only after it has accepted for a while.
    CHECK(probe(server.target(), 1s));
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!server.process().wait_for_output("accept resumed\n", 100ms) &&
           std::chrono::steady_clock::now() < deadline) {
        CHECK(probe(server.target(), 1s));
    }
    const std::string output = server.process().output();
    CHECK(output.ends_with("accept resumed\n"));
    CHECK(output.find("accept paused") == output.rfind("accept paused"));
    CHECK(!server.process().ended());
}

TEST_CASE("With a thread for each connection, silent clients do not delay others") {
    ServerProcess server{server_command("thread_per_connection")};
    CHECK(!claim("idle-client").experiment(server.target()).holds);
    CHECK(claim("idle-connections").experiment(server.target()).holds);
}

TEST_CASE("A thread pool freezes while each of its threads has a silent client, and recovers",
          "[waits]") {
    ServerProcess server{server_command("thread_pool", "--threads 4")};
    std::list<Connection> silent;
    while (silent.size() < 3) {
        silent.emplace_back(server.target());
    }
    CHECK(probe(server.target(), frozen_after));
    silent.emplace_back(server.target());
    CHECK(!probe(server.target(), frozen_after));
    silent.pop_back();
    CHECK(probe(server.target(), 5s));
}

TEST_CASE("A thread pool whose queue is full accepts the next client after one leaves", "[waits]") {
    ServerProcess server{server_command("thread_pool", "--threads 1 --queue-capacity 1")};
    const auto open = [&] { return descriptors(server.process().pid()); };
    const std::ptrdiff_t before = open();
    std::list<Connection> silent;
    while (silent.size() < 3) {
        silent.emplace_back(server.target());
    }
    CHECK(wait_for(open, before + 3) == before + 2);
    silent.clear();
    CHECK(probe(server.target(), 5s));
}
