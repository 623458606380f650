#include "clients/probe/black_box.hpp"

#include <signal.h>

#include <asio.hpp>
#include <filesystem>

#include "clients/claims/exchange.hpp"
#include "clients/claims/exposition.hpp"
#include "common/http/message.hpp"
#include "common/http/response_parser.hpp"
#include "common/net/io.hpp"
#include "common/net/spawn.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// The output of check for a server that it starts.
std::string checked(const std::string& arguments, const std::string& server) {
    return output_of({program("check"), arguments, {"--spawn", server}}, std::chrono::minutes{2});
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

/// Python's own server, which serves one client at a time, or starts a thread for each.
std::string python(std::string_view kind) {
    const auto script = source_tree / "clients" / "claims" / "other_server.py";
    return fmt::format("python3 {} {{port}} {}", shell_word(script.string()), kind);
}

std::string spawned(std::size_t stage, std::string_view flags = "") {
    const CourseServer& server = course_servers.at(stage - 1);
    return fmt::format("{} --port {{port}} {} {}", shell_word(program(server.name)), server.flags,
                       flags);
}

/// A proxy that changes each response of a server, so that it seems to behave in another way. An
/// empty result of `change` closes the client's connection without a response.
class ChangingProxy {
public:
    using Change = std::function<std::string(const ReceivedResponse& response)>;

    ChangingProxy(const Target& server, Change change)
        : server_{server.endpoint()}, change_{std::move(change)} {
        asio::co_spawn(io_, accept_all(), asio::detached);
        thread_ = std::jthread{[this] { io_.run(); }};
    }
    ~ChangingProxy() { io_.stop(); }

    std::string name() const {
        return fmt::format("127.0.0.1:{}", acceptor_.local_endpoint().port());
    }

private:
    using Socket = asio::ip::tcp::socket;

    struct Pair {
        Socket client;
        Socket server;
    };

    asio::awaitable<void> accept_all() {
        for (;;) {
            Socket client = co_await acceptor_.async_accept(asio::use_awaitable);
            const auto pair = std::make_shared<Pair>(Pair{std::move(client), Socket{io_}});
            asio::error_code error;
            co_await pair->server.async_connect(server_,
                                                asio::redirect_error(asio::use_awaitable, error));
            asio::co_spawn(io_, forward(pair), asio::detached);
            asio::co_spawn(io_, answer(pair), asio::detached);
        }
    }

    asio::awaitable<void> forward(std::shared_ptr<Pair> pair) {
        std::array<char, 64 * 1024> buffer;
        asio::error_code error;
        while (!error) {
            const std::size_t size = co_await pair->client.async_read_some(
                asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
            asio::error_code closed;
            co_await asio::async_write(pair->server, asio::buffer(buffer.data(), size),
                                       asio::redirect_error(asio::use_awaitable, closed));
        }
        asio::error_code closed_already;
        if (error == asio::error::eof) {
            pair->server.shutdown(Socket::shutdown_send, closed_already);
        } else {
            pair->server.close(closed_already);
        }
    }

    asio::awaitable<void> answer(std::shared_ptr<Pair> pair) {
        std::array<char, 16 * 1024> buffer;
        ResponseParser parser;
        asio::error_code error;
        while (!error) {
            const std::size_t size = co_await pair->server.async_read_some(
                asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
            parser.feed({buffer.data(), size});
            while (!error && parser.next() == ResponseParser::Result::response) {
                const std::string bytes = change_(parser.response());
                if (bytes.empty()) {
                    error = asio::error::eof;
                }
                asio::error_code closed;
                co_await asio::async_write(pair->client, asio::buffer(bytes),
                                           asio::redirect_error(asio::use_awaitable, closed));
            }
        }
        asio::error_code closed_already;
        pair->client.shutdown(Socket::shutdown_send, closed_already);
        pair->server.close(closed_already);
    }

    asio::ip::tcp::endpoint server_;
    Change change_;
    asio::io_context io_;
    asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    std::jthread thread_;
};

/// The bytes of a response with another body.
std::string with_body(const ReceivedResponse& response, const std::string& body) {
    std::string head = response.head;
    const std::string before = fmt::format("Content-Length: {}\r\n", response.body.size());
    const std::size_t at = head.find(before);
    REQUIRE(at != head.npos);
    head.replace(at, before.size(), fmt::format("Content-Length: {}\r\n", body.size()));
    return head + "\r\n" + body;
}

std::string replaced(std::string text, std::string_view part, std::string_view instead) {
    for (std::size_t at = text.find(part); at != text.npos;
         at = text.find(part, at + instead.size())) {
        text.replace(at, part.size(), instead);
    }
    return text;
}

std::string unchanged(const ReceivedResponse& response) {
    return response.head + "\r\n" + response.body;
}

/// The output of check for a server of the course whose responses are changed.
std::string checked_with(std::size_t stage, ChangingProxy::Change change,
                         const std::string& arguments) {
    ServerProcess server{course_command(stage, course_servers.at(stage - 1).name)};
    const ChangingProxy proxy{server.target(), std::move(change)};
    return output_of({program("check"), arguments, {"--server", proxy.name()}},
                     std::chrono::minutes{2});
}

/// A new directory, which is removed at the end.
struct TemporaryDirectory {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / fmt::format("check_test_{}", getpid());
    TemporaryDirectory() { std::filesystem::create_directory(path); }
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("Check reports which stage a server from outside the course has reached") {
    if (output_of("python3 --version").ends_with("exit 127\n")) {
        WARN("skipped, because python3 is missing");
        return;
    }
    const std::string one = checked("2", python("one"));
    INFO(one);
    CHECK(contains(one, "\nPASS  a request may arrive byte by byte\n"));
    CHECK(contains(one,
                   "\nFAIL  an idle client blocks no other client\n"
                   "      expected a response, got no answer in 1000 ms\n"
                   "      sent      POST / {\"user\":\"user0\",\"action\":\"buy\",\"amount\":1}\n"
                   "      expected  a response within 1000 ms, while 1 other connection is open "
                   "and\n"
                   "                silent\n"
                   "      got       late (no response in 1.00 s)\n"
                   "      why       a server that reads one connection at a time freezes\n"));
    CHECK(contains(one, "\nFAIL  20 idle connections do not delay anyone\n"));
    CHECK(
        one.ends_with("\n3 of 5 claims passed: your server has reached stage 1, not 2\n"
                      "Read ./lab notes 2 (docs/stage02.md)\n"
                      "See it: add --show idle-client\nexit 1\n"));

    const std::string threads = checked("2", python("threads"));
    INFO(threads);
    CHECK(!contains(threads, "FAIL"));
    CHECK(
        threads.ends_with("\n5 of 5 claims passed: your server has reached stage 2\n"
                          "Next: ./lab notes 3\nexit 0\n"));
}

TEST_CASE("A server of this course has reached its own stage, and not the next one", "[full]") {
    const std::string output = checked("5", spawned(4));
    INFO(output);
    CHECK(contains(output, "\nFAIL  an event is accepted before its work is done\n"));
    CHECK(contains(output, "\nFAIL  slow work does not delay the response\n"));
    CHECK(contains(output, " claims passed: your server has reached stage 4, not 5\n"));
    CHECK(output.ends_with("\nexit 1\n"));
}

TEST_CASE("The final server has reached the last stage", "[full]") {
    const std::string output = checked("10", spawned(10));
    INFO(output);
    CHECK(output.ends_with(" claims passed: your server has reached stage 10\nexit 0\n"));
}

TEST_CASE("Without a number, check stops after the first stage that is not reached") {
    const std::string output = checked("", spawned(1));
    INFO(output);
    CHECK(contains(output, "\nstage 2\n"));
    CHECK(!contains(output, "\nstage 3\n"));
    CHECK(contains(output, " 5 claims passed: your server has reached stage 1, not 2\n"));
}

TEST_CASE("Check does not end a server that it has not started") {
    ServerProcess server{course_command(2, "stage02_async")};
    CHECK(output_of({program("check"), "2 --server " + server.target().name()})
              .ends_with(" claims passed: your server has reached stage 2\n"
                         "Next: ./lab notes 3\nexit 0\n"));
    CHECK(!server.process().ended());
}

TEST_CASE("A server has not reached a stage if check could test none of its claims") {
    ServerProcess server{course_command(10, "stage10_shutdown")};
    const std::string output = output_of(
        {program("check"), "10 --only drain,partial-request --server " + server.target().name()});
    CHECK(output ==
          "stage 10\nUNKNOWN  no accepted job is lost on SIGTERM\n"
          "      this client has not started the server, so it can't end it\n"
          "UNKNOWN  half a request at SIGTERM still gets a response\n"
          "      this client has not started the server, so it can't end it\n"
          "0 of 2 claims passed\nexit 2\n");
}

TEST_CASE("If check can't tell about the last stage, the exit status is 2", "[full]") {
    ServerProcess server{course_command(10, "stage10_shutdown")};
    const std::string output = output_of(
        {program("check"), "10 --server " + server.target().name()}, std::chrono::minutes{2});
    INFO(output);
    CHECK(output.ends_with(
        "\n29 of 31 claims passed: your server has reached stage 9; check can't tell about\n"
        "stage 10\nexit 2\n"));
}

TEST_CASE("Check accepts legal HTTP and JSON in any spelling") {
    const auto check_passes = [](std::size_t stage, ChangingProxy::Change change,
                                 const std::string& claims) {
        const std::string output =
            checked_with(stage, std::move(change), fmt::format("{} --only {}", stage, claims));
        INFO(output);
        CHECK(output.ends_with("\nexit 0\n"));
    };
    const std::string connections = "byte-by-byte,keep-alive,pipelining,garbage,reason";
    const auto bare_line_feeds = [](const ReceivedResponse& response) {
        return replaced(response.head, "\r\n", "\n") + "\n" + response.body;
    };
    check_passes(3, bare_line_feeds, connections);
    const auto odd_fields = [](const ReceivedResponse& response) {
        return replaced(replaced(response.head, "Content-Length", "content-LENGTH"),
                        "Date: ", "x-note: gr\xfc\xdf\r\n folded\r\ndate:") +
               "\r\n" + response.body;
    };
    check_passes(3, odd_fields, connections);
    const auto in_chunks = [](const ReceivedResponse& response) {
        const std::string length = fmt::format("Content-Length: {}\r\n", response.body.size());
        return fmt::format("{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                           replaced(response.head, length, "Transfer-Encoding: chunked\r\n"),
                           response.body.size(), response.body);
    };
    check_passes(3, in_chunks, connections);
    const auto http_1_0 = [](const ReceivedResponse& response) {
        return replaced(response.head, "HTTP/1.1", "HTTP/1.0") +
               (response.keep_alive ? "Connection: keep-alive\r\n\r\n" : "\r\n") + response.body;
    };
    check_passes(3, http_1_0, connections);
    const auto spaces = [](const ReceivedResponse& response) {
        return with_body(response, response.body.front() == '{'
                                       ? replaced(response.body, "\":", "\" : \n")
                                       : response.body);
    };
    check_passes(9, spaces, "reason,exact,lost-update,counters-add-up");
    const auto unknown_users = [](const ReceivedResponse& response) {
        const bool zero = contains(response.body, R"("balance":0})");
        return zero ? to_bytes(error_response(404, "no such user")) : unchanged(response);
    };
    check_passes(4, unknown_users, "saturation,lost-update");
    const auto close_unannounced = [](const ReceivedResponse& response) {
        return replaced(response.head, "Connection: close\r\n", "") + "\r\n" + response.body;
    };
    check_passes(3, close_unannounced, "ambiguous-framing,keep-alive");
}

TEST_CASE("Check names the true reason, with the bytes sent, the bound, and what came") {
    const auto failing = [](std::size_t stage, ChangingProxy::Change change,
                            const std::string& claim, std::string_view part) {
        const std::string output = checked_with(stage, std::move(change), "--only " + claim);
        INFO(output);
        CHECK(contains(replaced(output, "\n                ", " "), part));
        CHECK(output.ends_with("\nexit 1\n"));
    };
    const auto none = [](const ReceivedResponse&) { return std::string{}; };
    failing(3, none, "byte-by-byte", "      got       closed (after ");
    const auto cut = [](const ReceivedResponse& response) {
        return replaced(unchanged(response), "Content-Length: ", "Content-Length: 1");
    };
    failing(3, cut, "byte-by-byte",
            "      got       late (no response in 1.00 s, inside a response, ");
    const auto no_status = [](const ReceivedResponse& response) {
        return replaced(unchanged(response), "HTTP/1.1 200", "HTTP/1.1 OK");
    };
    failing(3, no_status, "byte-by-byte",
            "malformed (byte 9: expected a version and a status of three digits, as in HTTP/1.1 "
            "200 OK)");
    const auto no_colon = [](const ReceivedResponse& response) {
        return replaced(unchanged(response), "Date: ", "Date ");
    };
    failing(3, no_colon, "byte-by-byte", "malformed (byte 17: 'Date ");
    const auto old = [](const ReceivedResponse& response) {
        return replaced(unchanged(response), "HTTP/1.1", "HTTP/1.0");
    };
    failing(3, old, "keep-alive", "got       200 in HTTP/1.0, after which a client has to close");
    const auto lenient = [](const ReceivedResponse& response) {
        return contains(response.body, "amount")
                   ? to_bytes({.status = 202, .body = R"({"status": "accepted"})"})
                   : unchanged(response);
    };
    failing(3, lenient, "reason",
            "      sent      POST / {\"user\":\"alice\",\"action\":\"buy\"}\n"
            "      expected  400 and {\"reason\":\"invalid_json\"}, within 1000 ms\n"
            "      got       202 {\"status\": \"accepted\"} (after ");
    const auto other_status = [](const ReceivedResponse& response) {
        return replaced(unchanged(response), "HTTP/1.1 503", "HTTP/1.1 429");
    };
    failing(5, other_status, "overload", " answered 429, expected 503");
    failing(5, other_status, "retry-after", " was answered 429, expected 503");
    failing(5, other_status, "overload --show overload",
            "\n      by hand   curl -sZ --parallel-max 300 ");
    const auto soon = [](const ReceivedResponse& response) {
        return replaced(unchanged(response), "Retry-After: 1", "Retry-After: soon");
    };
    failing(5, soon, "retry-after", "got       a 503 with Retry-After: soon");
    const auto characters = [](const ReceivedResponse& response) {
        std::string bytes = unchanged(response);
        const auto multibyte = static_cast<std::size_t>(
            std::count_if(response.body.begin(), response.body.end(),
                          [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }));
        return replaced(bytes, fmt::format("Content-Length: {}\r", response.body.size()),
                        fmt::format("Content-Length: {}\r", response.body.size() - multibyte));
    };
    failing(4, characters, "exact", "a JSON object {\"balance\":N} within 3 s");
    const auto json_metrics = [](const ReceivedResponse& response) {
        return response.field("Content-Type").starts_with("text/plain")
                   ? to_bytes({.status = 200, .body = R"({"received": 3})"})
                   : unchanged(response);
    };
    failing(9, json_metrics, "exposition", "expected  Content-Type: text/plain; version=0.0.4");
    const auto other_counts = [](const ReceivedResponse& response) {
        return response.field("Content-Type").starts_with("text/plain")
                   ? replaced(unchanged(response), "events_received_total 3",
                              "events_received_total 2")
                   : unchanged(response);
    };
    failing(9, other_counts, "exposition",
            "expected  a sample with 'received' in its name or labels and the value 3, as "
            "{\"type\":\"metrics\"} says");
}

TEST_CASE("If only an HTTP library may be the cause, check says which later stages hold",
          "[full]") {
    const auto no_408 = [](const ReceivedResponse& response) {
        return response.status == 408 ? "" : unchanged(response);
    };
    const std::string output = checked_with(6, no_408, "6");
    INFO(output);
    CHECK(contains(output, "no answer, closed after "));
    CHECK(contains(output, " s (HTTP libraries decide this)"));
    CHECK(contains(output,
                   " claims passed: stages 1, 2 and 4 to 6 hold; missing from stage 3: a\n"
                   "slow request head times out\n"
                   "HTTP libraries decide what is missing; "));
    CHECK(output.ends_with("\nexit 1\n"));
}

TEST_CASE("If the work is too short to see, the verdict is UNKNOWN and the exit status 2") {
    if (sanitized) {  // it takes longer then
        return;
    }
    const std::string output =
        checked("10 --only slow-work,accepted-at-once,parallel-jobs,one-lock,drain",
                fmt::format("{} --port {{port}} --work-ms 0 --hold-ms 0",
                            shell_word(program("stage10_shutdown"))));
    INFO(output);
    CHECK(contains(output,
                   "UNKNOWN  slow work does not delay the response\n"
                   "      the work for one event takes "));
    CHECK(contains(output, "UNKNOWN  no accepted job is lost on SIGTERM\n"));
    CHECK(output.ends_with("\n0 of 5 claims passed\nexit 2\n"));
}

TEST_CASE("If check itself does not get a processor, a late response is UNKNOWN") {
    // The server stops check for a while, as a busy machine does.
    const std::string output = checked(
        "2 --only idle-client",
        fmt::format(
            "(sleep 0.7; kill -STOP $PPID; sleep 1.5; kill -CONT $PPID) & exec {} --port {{port}}",
            shell_word(program("stage01_blocking"))));
    INFO(output);
    CHECK(contains(replaced(output, "\n      ", " "), " but check itself had to wait "));
    CHECK(output.ends_with("\n0 of 1 claims passed\nexit 2\n"));
}

TEST_CASE("A signal reaches a server behind a shell, and its exit status is judged") {
    const std::string server = spawned(10);
    for (const std::string& line : {"cd / && " + server, "true; " + server + "; exit $?",
                                    "sh -c " + shell_word("true; " + server + "; exit $?")}) {
        const std::string output = checked("--only drain,partial-request", line);
        INFO(output);
        CHECK(output.ends_with("\n2 of 2 claims passed\nexit 0\n"));
    }
    const std::string output = checked("--only drain", "true; " + server + "; exit 3");
    INFO(output);
    CHECK(contains(output, "      got       exit status 3\n"));
    CHECK(output.ends_with("\nexit 1\n"));
    const std::string stays = checked("--only drain", "true; " + server + "; sleep 5");
    INFO(stays);
    CHECK(contains(stays, "UNKNOWN  no accepted job is lost on SIGTERM\n"));
    CHECK(stays.ends_with("\nexit 2\n"));
}

TEST_CASE("A server that loses accepted jobs at SIGTERM fails") {
    const std::string output = checked("--only drain", spawned(10, "--drain-seconds 0"));
    INFO(output);
    CHECK(contains(output, "FAIL  no accepted job is lost on SIGTERM\n"));
    CHECK(output.ends_with("\nexit 1\n"));
}

TEST_CASE("A capacity that is given is checked") {
    const std::string server = spawned(5, "--queue-capacity 50");
    const std::string right = checked("5 --only overload --capacity 50", server);
    INFO(right);
    CHECK(right.ends_with("\n1 of 1 claims passed\nexit 0\n"));
    for (const char* const capacity : {"40", "60"}) {
        const std::string wrong =
            checked(fmt::format("5 --only overload --capacity {}", capacity), server);
        INFO(wrong);
        CHECK(contains(wrong, fmt::format("expected  {} to ", capacity)));
        CHECK(wrong.ends_with("\nexit 1\n"));
    }
}

TEST_CASE("Check shows a conversation, and a command that repeats the failing exchange") {
    const std::string output = checked("--show idle-client", "echo hello >&2; " + spawned(1));
    INFO(output);
    CHECK(contains(output, " stderr | hello\\n\n"));
    CHECK(contains(output, " #2   > POST / HTTP/1.1\\r\\n\n"));
    CHECK(contains(output, " #2     (no further response in time)\n"));
    CHECK(contains(output, " #3   < HTTP/1.1 200 OK\\r\\n\n"));
    CHECK(contains(output,
                   "\n      by hand   curl -i -d '{\"user\":\"user0\",\"action\":\"buy\","
                   "\"amount\":1}' http://127.0.0.1:$PORT/\n"));
    std::istringstream lines{output};
    for (std::string line; std::getline(lines, line);) {
        CHECK((line.size() <= 80 || contains(line, "by hand")));
    }
}

TEST_CASE("Check writes results and conversations to files, and repeats a claim") {
    const TemporaryDirectory directory;
    const std::string json = (directory.path / "results.json").string();
    const std::string kept = (directory.path / "kept").string();
    const std::string output =
        checked(fmt::format("1 --times 2 --json {} --keep {}", json, kept), spawned(1));
    INFO(output);
    CHECK(contains(output, "PASS  field names are case-insensitive (2 of 2)\n"));
    const std::vector<std::string> lines = lines_of(json);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].starts_with(R"({"name":"byte-by-byte","stage":1,)"));
    CHECK(contains(lines[0], R"("verdict":"PASS")"));
    CHECK(contains(text_of(kept + "/byte-by-byte-2.txt"), "PASS: status 200\n"));
    CHECK(contains(text_of(kept + "/client-resets-1.txt"), " #100 "));
}

TEST_CASE("If a server does not start, check says what it printed and where it listens") {
    CHECK(checked("1", "true") ==
          "stage 1\ncheck: no server from 'true': it ended before it listened\nexit 2\n");
    CHECK(contains(checked("1", "echo no such module >&2; exit 3; {port}"),
                   ": it ended with exit status 3 before it accepted a connection; it printed 'no "
                   "such module'\nexit 2\n"));
}

TEST_CASE("A server that listens on another port is found there") {
    try {
        const ServerProcess server{
            Command{shell_word(program("stage01_blocking")) + " --port 0 # {port}"}.with(
                Output::kept_apart),
            500ms};
        FAIL("the server was found on a port that it does not have");
    } catch (const std::runtime_error& error) {
        const std::string said = error.what();
        CHECK(said.starts_with("it listens on 127.0.0.1:"));
        CHECK(contains(said, ", but its {port} is "));
        CHECK(contains(said, "; it printed 'listening on 127.0.0.1:"));
    }
}

TEST_CASE("A request is repeated by hand with curl, or as bytes with printf") {
    CHECK(by_hand(post(R"({"user":"it's"})")) ==
          R"(curl -i -d '{"user":"it'\''s"}' http://127.0.0.1:$PORT/)");
    CHECK(by_hand(get("/metrics")) == "curl -i http://127.0.0.1:$PORT/metrics");
    CHECK(by_hand("\x16%\\'\r\n\r\n") ==
          R"(printf '\026%%\134\047\r\n\r\n' | nc -w 5 127.0.0.1 $PORT)");
    CHECK(by_hand("half a head\r\n").empty());
}

TEST_CASE("An exposition is parsed as Prometheus does") {
    const Exposition good = parse_exposition(
        "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\n"
        "jobs_total{state=\"received\",note=\"a \\\"}\\\" b\"} 3\n"
        "jobs_total{state=\"dropped\",} 1e0 1700000000000\n\nlatency_bucket{le=\"+Inf\"} +Inf\n");
    CHECK(good.fault.empty());
    CHECK(good.types == 1);
    REQUIRE(good.samples.size() == 3);
    CHECK(good.has("received", 3));
    CHECK(good.has("dropped", 1));
    CHECK(good.has("jobs", 4));  // the sum
    CHECK(!good.has("received", 2));
    CHECK(!good.has("pending", 0));
    for (const char* const wrong :
         {"{\"received\": 3}\n", "a 1", "a\n", "a b\n", "a{b=\"c} 1\n", "a{b=c} 1\n", "1a 1\n",
          "# TYPE a number\n", "a 1\n# TYPE a counter\n", "# TYPE a counter\n# TYPE a gauge\n",
          "# TYPE a counter\na -1\n", "a 1x\n"}) {
        INFO(wrong);
        CHECK(parse_exposition(wrong).fault.starts_with("line "));
    }
}

TEST_CASE("Check and client reject a wrong stage and a wrong command in one sentence") {
    CHECK(output_of({program("check"), "11"}).ends_with("\nexit 2\n"));
    CHECK(contains(output_of({program("check"), "1 --spawn true"}),
                   "check: no server from 'true': "));
    CHECK(output_of({program("check"), "--only idle,hot-user"}) ==
          "check: there is no claim 'idle'; check --list prints them\nexit 2\n");
    for (const char* const arguments : {"", "0", "11", "05", "--json"}) {
        CHECK(output_of({program("client"), arguments}) ==
              fmt::format("client: expected a stage from 1 to 10 as the first argument, got '{}' "
                          "(see --help)\nexit 2\n",
                          arguments));
    }
}
