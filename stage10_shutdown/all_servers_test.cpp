#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "clients/probe/black_box.hpp"
#include "clients/probe/connection.hpp"

// Checks the behavior that several stages have in common.
using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

std::string event_of(std::string_view user) {
    return post(fmt::format(R"({{"user":"{}","action":"buy","amount":1}})", user));
}

std::string name_of(std::size_t stage) { return std::string{course_servers.at(stage - 1).name}; }

/// A stage's server, whose work takes no time.
ServerProcess quick_server(std::size_t stage, std::string_view flags = "") {
    return ServerProcess{server_command(
        name_of(stage), fmt::format("--work-ms 0 {} {}", stage >= 7 ? "--hold-ms 0" : "", flags))};
}

/// The response as "202 BODY".
std::string response_to(Connection& connection, const std::string& request) {
    REQUIRE(connection.send(request));
    const auto response = connection.receive();
    REQUIRE(response);
    return status_and_body(*response);
}

}  // namespace

TEST_CASE("Every server with balances limits the number of users and the length of their names") {
    const std::size_t stage = GENERATE(range(4, 11));
    ServerProcess server = quick_server(stage, "--users-max 3");
    const std::string accepted = stage == 4 ? "200" : "202";
    const std::string refused = R"(503 {"status":"rejected","reason":"too_many_users"})";
    INFO("stage " << stage);
    Connection connection{server.target()};
    CHECK(response_to(connection, event_of("alice")).starts_with(accepted));
    CHECK(response_to(connection, event_of(std::string(256, 'x'))).starts_with(accepted));
    CHECK(response_to(connection, event_of(std::string(257, 'x'))) ==
          R"(400 {"status":"error","reason":"invalid_json","detail":"member 'user' has more than )"
          R"(256 bytes"})");
    CHECK(response_to(connection, event_of("carol")).starts_with(accepted));
    CHECK(response_to(connection, event_of("dave")) == refused);
    CHECK(response_to(connection, event_of("alice")).starts_with(accepted));
    CHECK(response_to(connection, event_of("erin")) == refused);
    CHECK(response_to(connection, post(R"({"type":"balance","user":"dave"})")) ==
          R"(200 {"user":"dave","balance":0})");
    if (stage >= 9) {
        CHECK(response_to(connection, post(R"({"type":"metrics"})"))
                  .starts_with(R"(200 {"received":6,)"));
        CHECK(response_to(connection, "GET /metrics HTTP/1.1\r\nHost: unfreeze\r\n\r\n")
                  .find("\nunfreeze_events_dropped_total 2\n") != std::string::npos);
    }
}

TEST_CASE(
    "Requests that the parser refuses count as invalid, as do those that the server refuses") {
    const std::size_t stage = GENERATE(9, 10);
    ServerProcess server = quick_server(stage, "--head-ms 200 --linger-ms 0");
    const Target& target = server.target();
    const auto invalid = [&] {
        Connection connection{target};
        const std::string text =
            response_to(connection, "GET /metrics HTTP/1.1\r\nHost: unfreeze\r\n\r\n");
        constexpr std::string_view name = "\nunfreeze_requests_invalid_total ";
        return std::stoi(text.substr(text.find(name) + name.size()));
    };
    int expected = 0;
    for (const auto& [request, status] :
         {std::pair{post("{}"), 400},
          {"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404},
          {"no HTTP\r\n", 400},
          {"GET / HTTP/2.0\r\n", 505},
          {"GET / HTTP/1.1\r\n", 408},
          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413},
          {"GET / HTTP/1.1\r\n" + std::string(9'000, 'x'), 431}}) {
        INFO(request.substr(0, 40));
        Connection connection{target};
        REQUIRE(connection.send(request));
        CHECK(status_of(connection.receive()) == status);
        CHECK(invalid() == ++expected);
    }
}

TEST_CASE("No event is refused while a worker is idle") {
    const auto [name, flags, events] = GENERATE(table<std::string, std::string, int>(
        {{"stage05_backpressure", "", 11},
         {"stage06_workers", "--workers 64", 74},
         {"stage07_contention", "--workers 64 --io-threads 2", 74},
         {"stage08_sharding", "--workers 3", 13},
         {"stage09_metrics", "--workers 64", 74},
         {"stage10_shutdown", "--workers 64 --io-threads 2", 74}}));
    INFO(name);
    ServerProcess server{
        server_command(name, fmt::format("--work-ms 60000 --queue-capacity 10 {}", flags))};
    Connection connection{server.target()};
    // The workers' threads exist once the server listens. A worker waits for a job once the kernel
    // reports that its thread sleeps.
    const auto sleeping = [&] {
        std::ptrdiff_t threads = 0;
        for (const auto& thread : std::filesystem::directory_iterator{
                 fmt::format("/proc/{}/task", server.process().pid())}) {
            std::ifstream stat{thread.path() / "stat"};
            std::string line;
            std::getline(stat, line);
            threads += line.find(") S ") != std::string::npos ? 1 : 0;
        }
        return threads;
    };
    const auto deadline = steady_clock::now() + 10s;
    while (sleeping() != status_number(server.process().pid(), "Threads") &&
           steady_clock::now() < deadline) {
    }
    std::string burst;
    for (int i = 0; i < events + 2; ++i) {
        burst += event_of("alice");
    }
    REQUIRE(connection.send(burst));
    int accepted = 0;
    int refused = 0;
    for (int i = 0; i < events + 2; ++i) {
        const int status = status_of(connection.receive());
        accepted += status == 202 ? 1 : 0;
        refused += status == 503 ? 1 : 0;
    }
    CHECK(accepted == events);  // the queue's capacity, and one for each worker
    CHECK(refused == 2);
}

TEST_CASE("A query stops waiting for a lock that is held for long, and others are served then",
          "[waits]") {
    const std::size_t stage = GENERATE(range(7, 11));
    INFO("stage " << stage);
    ServerProcess server{server_command(
        name_of(stage),
        fmt::format("--work-ms 0 --hold-ms 60000 --workers 1 {} {}", stage >= 8 ? "--shards 1" : "",
                    stage == 10 ? "--drain-seconds 0" : ""))};
    Connection connection{server.target()};
    CHECK(response_to(connection, event_of("alice")).starts_with("202"));
    Connection querying{server.target()};
    const std::string query = post(R"({"type":"balance","user":"alice"})");
    const std::string busy = R"(503 {"status":"rejected","reason":"server_busy"})";
    // The worker may not hold the lock yet. Once it does, no query gets it.
    const auto deadline = steady_clock::now() + 10s;
    while (response_to(querying, query) != busy && steady_clock::now() < deadline) {
    }
    const auto start = steady_clock::now();
    CHECK(response_to(querying, query) == busy);
    // All of them are answered after one wait, because the later ones do not wait again.
    std::string many;
    for (int i = 0; i < 40; ++i) {
        many += query;
    }
    REQUIRE(querying.send(many));
    for (int i = 0; i < 40; ++i) {
        CHECK(status_of(querying.receive(30s)) == 503);
    }
    CHECK(steady_clock::now() - start < 30s);  // and not a minute
    CHECK(response_to(connection, event_of("alice")).starts_with("202"));
}

TEST_CASE(
    "Two signals at almost the same time count as one: the server prints its totals and loses "
    "nothing",
    "[waits]") {
    const std::size_t stage = GENERATE(range(7, 11));
    const int second = GENERATE(SIGTERM, SIGINT);
    INFO("stage " << stage);
    ServerProcess server{server_command(name_of(stage), "--work-ms 300 --hold-ms 0")};
    Connection connection{server.target()};
    CHECK(response_to(connection, event_of("alice")).starts_with("202"));
    kill(server.process().pid(), SIGTERM);
    kill(server.process().pid(), second);
    REQUIRE(server.process().wait_for_end(10s));
    server.process().wait_for_output("[total]", 2s);
    const std::string output = server.process().output();
    INFO(output);
    CHECK(output.find(stage < 10 ? "[total] 0 jobs" : "[total] 1 jobs") != std::string::npos);
    if (stage == 10) {
        CHECK(output.ends_with("received=1 processed=1 dropped=0 pending=0\n"));
        CHECK(server.process().exit_status() == 0);
    } else {
        CHECK(server.process().exit_status() > 128);
    }
}

TEST_CASE("As process 1, a server ends on a signal, whether its output is read or not", "[waits]") {
    const std::vector<std::string> as_process_1{
        "unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"};
    if (!output_of(Command{"true", ""}.run_by(as_process_1)).ends_with("exit 0\n")) {
        WARN("SKIPPED, NOTHING TESTED: no process namespaces on this machine");
        return;
    }
    const std::size_t stage = GENERATE(range(7, 11));
    const bool read = GENERATE(true, false);
    INFO("stage " << stage);
    // The shell is process 1, and becomes the server. The pipe that is not read fills up.
    const std::string flags = stage == 10 ? "--drain-seconds 1" : "";
    const std::string line =
        read ? "exec \"$0\" --port {port} --work-ms 0 --hold-ms 0 $1"
             : "d=$(mktemp -d) && mkfifo $d/pipe && exec 9<>$d/pipe && rm -r $d && "
               "exec \"$0\" --port {port} --work-ms 0 --hold-ms 0 $1 >&9";
    ServerProcess server{
        Command{"/bin/sh", "-c", {line, program(name_of(stage)), flags}}.run_by(as_process_1)};
    Connection connection{server.target()};
    for (int i = 0; i < (read ? 10 : 3'000); ++i) {
        REQUIRE(connection.send(event_of("alice")));
        REQUIRE(connection.receive());
    }
    // The server is unshare's only child.
    const std::string children = fmt::format("/proc/{0}/task/{0}/children", server.process().pid());
    pid_t pid = 0;
    std::ifstream{children} >> pid;
    REQUIRE(pid > 0);
    kill(pid, SIGTERM);
    CHECK(server.process().wait_for_end(10s));
    if (read) {
        CHECK(server.process().exit_status() == (stage == 10 ? 0 : 128 + SIGTERM));
    }
}

#ifdef UNFREEZE_HAVE_STOPPED_SERVERS
TEST_CASE("A server with a stop() ends cleanly, whatever its sessions and workers are doing") {
    const std::size_t stage = GENERATE(range(2, 10));
    INFO("stage " << stage);
    ServerProcess server{server_command(name_of(stage) + "_stopped",
                                        fmt::format("{} {}", stage >= 4 ? "--work-ms 200" : "",
                                                    stage >= 6 ? "--io-threads 3" : ""))};
    const Target& target = server.target();
    std::vector<std::unique_ptr<Connection>> open;
    for (const std::string& bytes :
         {std::string{}, std::string{"POST / HTTP/1.1\r\n"}, event_of("alice"), event_of("bob"),
          event_of("alice"), post("").substr(0, 20), post("{}"), event_of("carol")}) {
        open.push_back(std::make_unique<Connection>(target));
        REQUIRE(open.back()->send(bytes));
    }
    // A query waits for no work, so once it is answered, the other connections have been accepted.
    open.push_back(std::make_unique<Connection>(target));
    REQUIRE(open.back()->send(post(R"({"type":"balance","user":"alice"})")));
    REQUIRE(open.back()->receive());
    kill(server.process().pid(), SIGUSR1);
    REQUIRE(server.process().wait_for_end(20s));
    INFO(server.process().output());
    CHECK(server.process().exit_status() == 0);
}
#endif
