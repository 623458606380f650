#include <signal.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <regex>
#include <thread>
#include <vector>

#include "clients/claims/black_box.hpp"
#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

const std::string metrics_request = "GET /metrics HTTP/1.1\r\nHost: unfreeze\r\n\r\n";

/// Sends `events` events, each on its own connection. All are accepted.
void fill(const Target& target, int events) {
    const Account account{target};
    for (int i = 0; i < events; ++i) {
        Connection connection{target};
        connection.send(post(account.event(1)));
        const auto response = connection.receive();
        REQUIRE(response);
        REQUIRE(response->status == 202);
    }
}

/// Waits until the server has ended, and returns its output.
std::string output_at_the_end(ServerProcess& server, std::chrono::milliseconds patience = 10s) {
    CHECK(server.process().wait_for_end(patience));
    server.process().wait_for_output("received=", 2s);
    return server.process().output();
}

/// The sum of the balances in the workers' lines. They only grow here, so each user's largest is
/// the last one.
std::int64_t sum_of_balances(const std::string& output) {
    static const std::regex line{R"(\[worker +\d+\] user=(\S+) balance=(\d+) )"};
    std::map<std::string, std::int64_t> balances;
    for (std::sregex_iterator job{output.begin(), output.end(), line}, end; job != end; ++job) {
        std::int64_t& balance = balances[(*job)[1]];
        balance = std::max<std::int64_t>(balance, std::stoll((*job)[2]));
    }
    std::int64_t sum = 0;
    for (const auto& [user, balance] : balances) {
        sum += balance;
    }
    return sum;
}

/// Whether the client can still read the metrics, and sees that the server is draining.
bool sees_draining(Connection& connection) {
    connection.send(metrics_request);
    const auto response = connection.receive();
    return response && response->status == 200 &&
           response->body.find("\nunfreeze_draining 1\n") != std::string::npos;
}

}  // namespace

TEST_CASE("Each variant of stage 10 changes the results of the claims that it names") {
    check_variants(10, 8);
}

TEST_CASE("No variant of stage 10 changes the result of any other claim", "[full]") {
    check_variants(10, 1);
}

TEST_CASE("Stage 10 reports each startup error in one sentence") {
    check_start_errors("stage10_shutdown");
    CHECK(output_of({program("stage10_shutdown"), "--drain-seconds soon"}).ends_with("\nexit 2\n"));
}

TEST_CASE("The client of stage 10 distinguishes stage 10 from stage 9 and from a variant",
          "[full]") {
    const char* const flags = "--requests 500";
    check_verdict(10, {"stage10_shutdown", "--work-ms 60 --hold-ms 15"}, Verdict::as_expected,
                  flags);
    check_verdict(10, {"stage09_metrics", "--work-ms 60 --hold-ms 15"}, Verdict::not_as_expected,
                  flags);
    check_verdict(10, {"stage10_variant_no_drain", "--work-ms 60 --hold-ms 15"},
                  Verdict::not_as_expected, flags);
}

TEST_CASE("SIGTERM at 200 random moments loses no event whose client has received 202") {
    constexpr int moments = 200;
    constexpr std::size_t clients = 6;
    std::mt19937 random{std::random_device{}()};
    std::uniform_int_distribution<int> moment_us{0, 20'000};
    std::int64_t refused_total = 0;
    std::int64_t accepted_total = 0;
    for (int i = 0; i < moments; ++i) {
        ServerProcess server{server_command(
            "stage10_shutdown",
            fmt::format("--workers 4 --work-ms 1 --hold-ms 0 --queue-capacity 20 --io-threads {}",
                        1 + i % 2))};
        const Target& target = server.target();
        const Account account{target, 10};
        std::atomic<std::int64_t> accepted = 0;
        std::atomic<std::int64_t> refused = 0;
        {
            std::vector<std::jthread> sending;
            for (std::size_t client = 0; client < clients; ++client) {
                sending.emplace_back([&, client] {
                    Connection connection{target};
                    for (std::size_t n = client;; n += clients) {
                        connection.send(post(account.event(1, n)));
                        const auto response = connection.receive();
                        if (!response) {
                            return;  // the server has ended
                        }
                        ++(response->status == 202 ? accepted : refused);
                    }
                });
            }
            std::this_thread::sleep_for(std::chrono::microseconds{moment_us(random)});
            kill(server.process().pid(), SIGTERM);
        }
        const std::string output = output_at_the_end(server);
        INFO(output.substr(output.size() - std::min<std::size_t>(output.size(), 500)));
        REQUIRE(server.process().exit_status() == 0);
        std::smatch last;
        REQUIRE(std::regex_search(
            output, last,
            std::regex{"received=(\\d+) processed=(\\d+) dropped=(\\d+) pending=0\n$"}));
        REQUIRE(std::stoll(last[2]) == accepted);
        REQUIRE(std::stoll(last[1]) == std::stoll(last[2]) + std::stoll(last[3]));
        REQUIRE(std::stoll(last[3]) >= refused);  // the last refusals may not reach their clients
        REQUIRE(sum_of_balances(output) == accepted);
        accepted_total += accepted;
        refused_total += refused;
    }
    CHECK(accepted_total > moments);  // or the test has shown nothing
    CHECK(refused_total > 0);
}

TEST_CASE(
    "During the drain, idle connections close, requests in flight get responses, and new "
    "connections are refused",
    "[waits]") {
    ServerProcess server{server_command("stage10_shutdown", "--workers 1 --work-ms 700")};
    const Target& target = server.target();
    fill(target, 3);
    const Account account{target};
    Connection idle{target};
    idle.send(post(R"({"type":"metrics"})"));
    REQUIRE(idle.receive());
    Connection silent{target};
    Connection reader{target};
    reader.send(metrics_request);
    REQUIRE(reader.receive());
    Connection in_flight{target};
    const std::string event = post(account.event(1));
    in_flight.send(event.substr(0, event.size() - 5));
    Connection querying{target};
    const std::string query = post(R"({"type":"metrics"})");
    querying.send(query.substr(0, 20));
    {  // so the server has read a part of both requests
        Connection other{target};
        other.send(metrics_request);
        REQUIRE(other.receive());
    }
    const auto start = steady_clock::now();
    kill(server.process().pid(), GENERATE(SIGTERM, SIGINT));

    CHECK(idle.closed_by_server(500ms));
    CHECK(silent.closed_by_server(500ms));
    CHECK(sees_draining(reader));
    CHECK(!Connection{target}.connected());
    in_flight.send(event.substr(event.size() - 5));
    const auto refusal = in_flight.receive();
    REQUIRE(refusal);
    CHECK(refusal->status == 503);
    CHECK(refusal->body == "{\"status\":\"rejected\",\"reason\":\"shutting_down\"}\n");
    CHECK(refusal->head.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(in_flight.closed_by_server());
    querying.send(query.substr(20));
    const auto response = querying.receive();
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(response->head.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(querying.closed_by_server());
    CHECK(sees_draining(reader));  // still
    CHECK(steady_clock::now() - start < 2s);
    CHECK(!server.process().ended());

    const std::string output = output_at_the_end(server);
    CHECK(server.process().exit_status() == 0);
    CHECK(output.ends_with("received=4 processed=3 dropped=1 pending=0\n"));
    CHECK(output.find("[total] 3 jobs ") != std::string::npos);
    // The port is free again.
    const ServerProcess next{{program("stage10_shutdown"), fmt::format("--port {}", target.port)}};
}

TEST_CASE("Even without any work to drain, a request in flight has a second to complete") {
    ServerProcess server{server_command("stage10_shutdown", "--work-ms 0 --hold-ms 0")};
    const std::string event = post(Account{server.target()}.event(1));
    Connection in_flight{server.target()};
    in_flight.send(event.substr(0, event.size() - 5));
    Connection idle{server.target()};
    idle.send(metrics_request.substr(0, metrics_request.size() - 2) + "Connection: close\r\n\r\n");
    REQUIRE(idle.receive());  // so the server has read from the other connection
    kill(server.process().pid(), SIGTERM);
    CHECK(!server.process().wait_for_end(100ms));
    in_flight.send(event.substr(event.size() - 5));
    const auto refusal = in_flight.receive();
    REQUIRE(refusal);
    CHECK(refusal->status == 503);
    CHECK(output_at_the_end(server).ends_with("received=1 processed=0 dropped=1 pending=0\n"));
}

TEST_CASE("Work that never ends delays the exit only until the deadline or a second signal",
          "[waits]") {
    const bool twice = GENERATE(false, true);
    const char* const hang =
        GENERATE("--work-ms 86400000", "--work-ms 0 --hold-ms 86400000 --shards 1");
    ServerProcess server{
        server_command("stage10_shutdown",
                       fmt::format("--workers 2 {} --drain-seconds {}", hang, twice ? 3600 : 1))};
    fill(server.target(), 5);
    const Account account{server.target()};
    Connection stuck{server.target()};  // its query may block the I/O thread on a lock
    stuck.send(post(account.event(1)));
    stuck.send(post(R"({"type":"balance","user":"absent"})"));
    const auto start = steady_clock::now();
    kill(server.process().pid(), SIGTERM);
    if (twice) {
        // Within half a second, the second signal would be ignored as a duplicate.
        CHECK(!server.process().wait_for_end(700ms));
        kill(server.process().pid(), SIGTERM);
    }
    const std::string output = output_at_the_end(server);
    INFO(output);
    const auto took = steady_clock::now() - start;
    CHECK(took < 30s);  // and not an hour
    CHECK((twice || took >= 1s));
    CHECK(server.process().exit_status() == 1);
    CHECK(std::regex_search(output, std::regex{"stage10_shutdown: (\\d) of \\1 accepted events are "
                                               "lost\n"}));
    CHECK(std::regex_search(output,
                            std::regex{"received=\\d processed=0 dropped=\\d pending=[56]\n$"}));
}

TEST_CASE("A client that reads no response can't delay the exit", "[waits]") {
    ServerProcess server{server_command("stage10_shutdown", "--work-ms 0 --hold-ms 0")};
    fill(server.target(), 3);
    Connection client{server.target()};
    while (client.send(metrics_request, 200ms)) {  // until the responses fill all buffers
    }
    const auto start = steady_clock::now();
    kill(server.process().pid(), SIGTERM);
    CHECK(output_at_the_end(server).ends_with("processed=3 dropped=0 pending=0\n"));
    CHECK(steady_clock::now() - start < 4s);
    CHECK(server.process().exit_status() == 0);
}

TEST_CASE("An output that is not read can't block the exit", "[waits]") {
    // The announcement is read from a pipe, which then fills up and blocks the threads that print.
    Process process{fmt::format(
        "mkfifo_dir=$(mktemp -d); mkfifo $mkfifo_dir/out; exec 9<>$mkfifo_dir/out; "
        "{} --port 0 --work-ms 0 --hold-ms 0 --workers 2 --queue-capacity 10000 --drain-seconds 1 "
        ">$mkfifo_dir/out & echo pid $!; head -n 1 <&9; rm -r $mkfifo_dir; wait $!; echo exit $?",
        shell_word(program("stage10_shutdown")))};
    const auto pid = process.wait_for_line("pid ", 5s);
    const auto announced = process.wait_for_line("listening on ", 20s);
    REQUIRE(pid);
    REQUIRE(announced);
    const Target target = parse_target(*announced).value();
    const Account account{target};
    Connection connection{target};
    for (int i = 0; i < 3'000; ++i) {
        connection.send(post(account.event(1)));
        REQUIRE(connection.receive());
    }
    kill(static_cast<pid_t>(std::stoi(*pid)), SIGTERM);
    CHECK(process.wait_for_line("exit ", 10s) == "1");
}

TEST_CASE("The server exits cleanly even if the reader of its output has left") {
    const std::string line = fmt::format(
        "{{ (echo pid $BASHPID >&3; exec {} --port 0 --work-ms 0 --hold-ms 0) | head -n 1; "
        "echo exit ${{PIPESTATUS[0]}}; }} 3>&1",
        shell_word(program("stage10_shutdown")));
    Process process{{"bash", "-c", {line}}};
    const auto pid = process.wait_for_line("pid ", 5s);
    const auto announced = process.wait_for_line("listening on ", 20s);
    REQUIRE(pid);
    REQUIRE(announced);
    const Target target = parse_target(*announced).value();
    const Account account{target};
    Connection connection{target};
    for (int i = 0; i < 300; ++i) {  // more than a buffer of the output
        connection.send(post(account.event(1)));
        REQUIRE(connection.receive());
    }
    kill(static_cast<pid_t>(std::stoi(*pid)), SIGTERM);
    CHECK(process.wait_for_line("exit ", 10s) == "0");
}
