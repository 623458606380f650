#include "clients/probe/load.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <cerrno>
#include <list>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "common/catch.hpp"
#include "common/http/message.hpp"
#include "common/http/request_parser.hpp"
#include "common/net/spawn.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;
using asio::ip::tcp;

namespace {

/// What the server does with a request: it sends these bytes, none perhaps, and closes or reads on.
struct Reply {
    std::string bytes;
    bool close = false;
    std::chrono::milliseconds delay{0};  // of this reply alone: the others do not wait for it
};

/// A whole answer, after which the connection stays open.
Reply answer(int status, std::string_view fields = {}) {
    return {fmt::format("HTTP/1.1 {} As said\r\n{}Content-Length: 2\r\n\r\n{{}}", status, fields)};
}

/// A server in a thread of its own, whose behaviour is a function from the number of a request,
/// counted from 0 in the order of arrival, to the reply. It is called in the server's thread.
class TestServer {
public:
    using Behaviour = std::function<Reply(std::size_t n)>;

    /// What the server has seen of its clients.
    struct Seen {
        std::size_t accepted = 0;     // connections
        std::size_t at_once_max = 0;  // requests that waited for their replies at the same time
        std::size_t closing = 0;      // requests that asked for the end of the connection
        std::vector<std::string> bodies;
    };

    /// The first replies are held back until `gathered` requests wait for theirs.
    explicit TestServer(Behaviour behaviour, std::size_t gathered = 1)
        : behaviour_{std::move(behaviour)}, gathered_{gathered} {
        asio::co_spawn(io_, accept(*this), stop_on_exception);
        thread_ = std::thread{[this] { io_.run_for(1min); }};
    }

    ~TestServer() {
        io_.stop();
        thread_.join();
    }

    TestServer(const TestServer&) = delete;
    TestServer& operator=(const TestServer&) = delete;

    Target target() const { return {.port = port_}; }

    Seen seen() const {
        const std::lock_guard lock{mutex_};
        return seen_;
    }

private:
    static asio::awaitable<void> accept(TestServer& server) {
        for (;;) {
            tcp::socket socket = co_await server.acceptor_.async_accept(asio::use_awaitable);
            server.note([](Seen& seen) { ++seen.accepted; });
            asio::co_spawn(server.io_, serve(server, std::move(socket)), stop_on_exception);
        }
    }

    static asio::awaitable<void> serve(TestServer& server, tcp::socket socket) {
        RequestParser parser{HttpLimits{}};
        std::array<char, 4096> buffer;
        asio::error_code error;
        for (;;) {
            const RequestParser::Result result = parser.next();
            if (result == RequestParser::Result::need_more) {
                const std::size_t bytes = co_await socket.async_read_some(
                    asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
                parser.feed({buffer.data(), bytes});
            }
            if (error || result == RequestParser::Result::refused) {
                co_return;
            }
            if (result == RequestParser::Result::request) {
                const std::size_t n = server.begin(parser.request());
                while (!server.all_gathered_) {
                    co_await server.gathering_.async_wait(
                        asio::redirect_error(asio::use_awaitable, error));
                }
                const Reply reply = server.behaviour_(n);
                asio::steady_timer delay{server.io_, reply.delay};
                co_await delay.async_wait(asio::use_awaitable);
                --server.at_once_;
                co_await asio::async_write(socket, asio::buffer(reply.bytes),
                                           asio::redirect_error(asio::use_awaitable, error));
                if (error || reply.close) {
                    co_return;
                }
            }
        }
    }

    /// Takes down a request, and gives its number.
    std::size_t begin(const Request& request) {
        ++at_once_;
        if (at_once_ == gathered_) {
            all_gathered_ = true;
            gathering_.cancel();
        }
        std::size_t n = 0;
        note([&](Seen& seen) {
            n = seen.bodies.size();
            seen.at_once_max = std::max(seen.at_once_max, at_once_);
            seen.closing += request.keep_alive ? 0 : 1;
            seen.bodies.emplace_back(request.body);
        });
        return n;
    }

    template <typename Change>
    void note(Change change) {
        const std::lock_guard lock{mutex_};
        change(seen_);
    }

    const Behaviour behaviour_;
    const std::size_t gathered_;
    mutable std::mutex mutex_;
    Seen seen_;  // guarded by mutex_; all else is the server's thread's
    std::size_t at_once_ = 0;
    bool all_gathered_ = false;
    asio::io_context io_{1};
    tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    const std::uint16_t port_ = acceptor_.local_endpoint().port();
    asio::steady_timer gathering_{io_, asio::steady_timer::time_point::max()};
    std::thread thread_;
};

/// Runs the load, and checks that each request is in one count, and each answer in the latencies.
LoadReport run(const Target& target, const LoadOptions& options) {
    const LoadReport report = run_load(target, options);
    CHECK(report.accepted + report.rejected + report.errors_in_all() + report.never_sent ==
          options.requests);
    CHECK(report.latency.count() == report.accepted + report.rejected +
                                        report.errors[static_cast<std::size_t>(LoadError::status)]);
    CHECK(report.latency.max() <= report.duration);
    return report;
}

/// Checks that all requests ended in this one error.
void check_all(const LoadReport& report, LoadError error) {
    INFO(to_text(report));
    CHECK(report.errors_in_all() > 0);
    CHECK(report.errors[static_cast<std::size_t>(error)] == report.errors_in_all());
    CHECK(report.accepted + report.rejected == 0);
}

/// Puts the same small load on a server of this behaviour, with and without keep-alive.
template <typename Check>
void under_load(const TestServer::Behaviour& behaviour, Check check) {
    for (const bool keep_alive : {false, true}) {
        CAPTURE(keep_alive);
        TestServer server{behaviour};
        check(run(server.target(), {.requests = 60, .concurrency = 4, .keep_alive = keep_alive}));
    }
}

}  // namespace

TEST_CASE("Accepted, rejected and other answers are told apart") {
    SECTION("all accepted") {
        under_load([](std::size_t n) { return answer(n % 2 == 0 ? 200 : 299); },
                   [](const LoadReport& report) { CHECK(report.accepted == 60); });
    }
    SECTION("every other one rejected") {
        under_load([](std::size_t n) { return answer(n % 2 == 0 ? 200 : 503); },
                   [](const LoadReport& report) {
                       CHECK(report.accepted == 30);
                       CHECK(report.rejected == 30);
                       CHECK(report.rejection_latency.count() == 30);
                       CHECK(report.rejection_latency.max() <= report.latency.max());
                   });
    }
    SECTION("neither") {
        for (const int status : {301, 400, 500, 502, 504}) {
            CAPTURE(status);
            under_load([=](std::size_t) { return answer(status); },
                       [](const LoadReport& report) { check_all(report, LoadError::status); });
        }
    }
}

TEST_CASE("An answer may be long, or end with the connection") {
    const std::string body(100'000, 'x');
    under_load(
        [&](std::size_t n) {
            return n % 2 == 0 ? Reply{fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
                                                  body.size(), body)}
                              : Reply{"HTTP/1.1 200 OK\r\n\r\n" + body, true};
        },
        [](const LoadReport& report) { CHECK(report.accepted == 60); });
}

TEST_CASE("A server that closes instead of answering is an error of its own kind") {
    const std::string whole = answer(200).bytes;
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{9}, whole.size() - 1}) {
        CAPTURE(bytes);
        under_load(
            [&](std::size_t) {
                return Reply{whole.substr(0, bytes), true};
            },
            [](const LoadReport& report) { check_all(report, LoadError::closed); });
    }
}

TEST_CASE("An answer that is no HTTP is an error of its own kind") {
    under_load([](std::size_t) { return Reply{"220 mail.example ESMTP\r\n\r\n"}; },
               [](const LoadReport& report) { check_all(report, LoadError::malformed); });
}

TEST_CASE("A server that does not answer in time is an error of its own kind", "[waits]") {
    const std::string whole = answer(200).bytes;
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{9}, whole.size() - 1}) {
        CAPTURE(bytes);
        TestServer server{[&](std::size_t) { return Reply{whole.substr(0, bytes)}; }};
        const LoadReport report =
            run(server.target(), {.requests = 8, .concurrency = 4, .timeout_ms = 100ms});
        check_all(report, LoadError::timeout);
        CHECK(report.duration >= 200ms);  // two rounds
        CHECK(report.duration < 2s);
    }
}

TEST_CASE("Connecting in vain is an error, and so is waiting for it", "[waits]") {
    asio::io_context io;
    tcp::acceptor acceptor{io, tcp::v4()};
    acceptor.bind({asio::ip::address_v4::loopback(), 0});
    const Target target{.port = acceptor.local_endpoint().port()};
    const LoadOptions options{.requests = 8, .concurrency = 4, .timeout_ms = 200ms};

    SECTION("nobody listens") { check_all(run(target, options), LoadError::connect); }
    SECTION("the server's backlog is full") {
        acceptor.listen(0);
        const Connection first{target};  // the kernel has room for one, and drops what follows
        REQUIRE(first.connected());
        check_all(run(target, options), LoadError::timeout);
    }
}

TEST_CASE("After each kind of end the next request has a fresh start", "[waits]") {
    for (const bool keep_alive : {false, true}) {
        CAPTURE(keep_alive);
        const TestServer server{[](std::size_t n) {
            const std::array<Reply, 8> replies{
                answer(200),
                Reply{"", true},  // closed
                answer(503),
                Reply{""},  // timeout
                answer(500),
                Reply{"garbage\r\n\r\n"},
                Reply{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"},
                answer(201)};
            return replies.at(n % replies.size());
        }};
        const LoadReport report = run(server.target(), {.requests = keep_alive ? 14U : 16U,
                                                        .concurrency = 1,
                                                        .keep_alive = keep_alive,
                                                        .timeout_ms = 100ms});
        CHECK(report.accepted == 4);
        CHECK(report.rejected == 2);
        // A request that finds a kept connection closed is sent again, and gets the next reply.
        const std::uint64_t closed = keep_alive ? 0 : 2;
        CHECK(report.errors == std::array<std::uint64_t, load_error_kinds>{0, 4, closed, 2, 2});
        CHECK(report.sent_again == 2 - closed);
    }
}

TEST_CASE("The timeout is for each request, not for the connection", "[waits]") {
    TestServer server{[](std::size_t) {
        Reply reply = answer(200);
        reply.delay = 30ms;
        return reply;
    }};
    const LoadReport report =
        run(server.target(),
            {.requests = 20, .concurrency = 1, .keep_alive = true, .timeout_ms = 300ms});
    CHECK(report.accepted == 20);
    CHECK(report.duration >= 600ms);
    CHECK(report.latency.quantile(0.0) >= 30ms);
}

TEST_CASE("With keep-alive a connection carries many requests") {
    TestServer server{[](std::size_t) { return answer(200); }};
    const LoadReport report =
        run(server.target(), {.requests = 300, .concurrency = 3, .keep_alive = true});
    CHECK(report.accepted == 300);
    CHECK(server.seen().accepted == 3);
    CHECK(server.seen().closing == 0);
}

TEST_CASE("Where the server ends the connection the next request has a new one") {
    const LoadOptions options{.requests = 40, .concurrency = 1, .keep_alive = true};
    SECTION("the server says so and leaves the end to the client") {
        TestServer server{[](std::size_t n) {
            return n % 10 == 9 ? answer(200, "Connection: close\r\n") : answer(200);
        }};
        CHECK(run(server.target(), options).accepted == 40);
        CHECK(server.seen().accepted == 4);
    }
    SECTION("the server just closes, and the request that is under way is sent again") {
        TestServer server{[](std::size_t) {
            Reply reply = answer(200);
            reply.close = true;
            return reply;
        }};
        const LoadReport report = run(server.target(), options);
        CHECK(report.accepted == 40);
        CHECK(report.sent_again == 39);
        CHECK(to_text(report).find("\n  39 sent again on a new connection\n") != std::string::npos);
        CHECK(server.seen().accepted == 40);
    }
    SECTION("the server closes again, which is its error") {
        TestServer server{[](std::size_t n) { return n % 3 == 0 ? answer(200) : Reply{"", true}; }};
        const LoadReport report = run(server.target(), options);
        CHECK(report.accepted == 20);
        CHECK(report.errors == std::array<std::uint64_t, load_error_kinds>{0, 0, 20, 0, 0});
        CHECK(report.sent_again == 20);
    }
    SECTION("the server has begun to answer, so the request is not sent again") {
        TestServer server{[](std::size_t n) {
            return n % 2 == 0 ? answer(200) : Reply{"HTTP/1.1 200", true};
        }};
        const LoadReport report = run(server.target(), options);
        CHECK(report.accepted == 20);
        CHECK(report.errors == std::array<std::uint64_t, load_error_kinds>{0, 0, 20, 0, 0});
        CHECK(report.sent_again == 0);
    }
}

TEST_CASE("Without keep-alive each request has its own connection, and says so") {
    TestServer server{[](std::size_t) { return answer(200); }};
    CHECK(run(server.target(), {.requests = 100, .concurrency = 3}).accepted == 100);
    CHECK(server.seen().accepted == 100);
    CHECK(server.seen().closing == 100);
}

TEST_CASE("As many requests as asked for are on their way at a time, and no more") {
    for (const bool keep_alive : {false, true}) {
        CAPTURE(keep_alive);
        // The first replies wait for eight requests: fewer would never be answered. Each reply
        // then takes a while, in which a ninth request would be seen.
        TestServer server{[](std::size_t) {
                              Reply reply = answer(200);
                              reply.delay = 10ms;
                              return reply;
                          },
                          8};
        const LoadReport report =
            run(server.target(), {.requests = 80, .concurrency = 8, .keep_alive = keep_alive});
        CHECK(report.accepted == 80);
        CHECK(server.seen().at_once_max == 8);
    }
}

TEST_CASE("Fewer requests than asked for at a time are no more than they are") {
    TestServer server{[](std::size_t) { return answer(200); }, 3};
    const LoadReport report =
        run(server.target(), {.requests = 3, .concurrency = 50, .keep_alive = true});
    CHECK(report.accepted == 3);
    CHECK(server.seen().accepted == 3);
}

TEST_CASE("Each request is numbered once, and its body arrives") {
    TestServer server{[](std::size_t n) { return n % 3 == 0 ? Reply{"", true} : answer(200); }};
    std::vector<std::size_t> made(200);
    LoadOptions options{.requests = made.size(), .concurrency = 7, .keep_alive = true};
    options.body = [&](std::size_t n) {
        ++made.at(n);
        return fmt::format("body {:03}", n);
    };
    run(server.target(), options);
    CHECK(made == std::vector<std::size_t>(200, 1));

    std::vector<std::string> expected;
    for (std::size_t n = 0; n < made.size(); ++n) {
        expected.push_back(fmt::format("body {:03}", n));
    }
    std::vector<std::string> arrived = server.seen().bodies;
    std::sort(arrived.begin(), arrived.end());
    arrived.erase(std::unique(arrived.begin(), arrived.end()), arrived.end());  // some came twice
    CHECK(arrived == expected);
}

TEST_CASE("Under a rate no request is sent before it is due") {
    TestServer server{[](std::size_t) { return answer(200); }};
    const LoadReport report =
        run(server.target(), {.requests = 101, .concurrency = 10, .keep_alive = true, .rate = 500});
    CHECK(report.accepted == 101);
    CHECK(report.duration >= 200ms);              // the last is due after 100 / 500 s
    CHECK(report.latency.quantile(0.5) < 100ms);  // and waiting for its moment is no latency
}

TEST_CASE("A stall counts for all who would have come in it") {
    TestServer server{[](std::size_t n) {
        if (n == 400) {
            std::this_thread::sleep_for(500ms);  // nobody is served meanwhile: this is the stall
        }
        return answer(200);
    }};
    const LoadReport report = run(
        server.target(), {.requests = 1'000, .concurrency = 4, .keep_alive = true, .rate = 1'000});
    INFO(to_text(report));
    CHECK(report.accepted == 1'000);

    // The stall begins 400 ms after the start at the earliest and ends at 900 ms or later. Request
    // n is due at n ms: those from 400 to 700 are answered 200 ms late or later, however fast or
    // slow the machine is. They are 300, so the slowest 250 of the 1,000 are slower than that. A
    // client that measures from the send finds just the four that were on their way, and p99 at
    // less than a millisecond.
    CHECK(report.latency.quantile(0.75) >= 200ms);
    CHECK(report.latency.max() >= 500ms);

    // Those that were due before the stall have not waited for it.
    CHECK(report.latency.quantile(0.25) < 100ms);
}

TEST_CASE("Who wants to is told of each answer: whose it is, when it was due and when it came") {
    TestServer server{[](std::size_t n) {
        Reply reply = n % 4 == 0 ? Reply{"", true} : answer(n % 4 == 1 ? 202 : 503);
        reply.delay = 20ms;
        return reply;
    }};
    std::vector<LoadAnswer> answers;
    LoadOptions options{.requests = 40, .concurrency = 1, .rate = 1'000};
    options.answered = [&](const LoadAnswer& heard) { answers.push_back(heard); };
    const LoadReport report = run(server.target(), options);
    CHECK(report.accepted == 10);
    CHECK(report.rejected == 20);
    REQUIRE(answers.size() == 30);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto& [n, due, latency, status] = answers[i];
        INFO(n);
        CHECK(n == i / 3 * 4 + i % 3 + 1);  // but for every fourth
        CHECK(status == (n % 4 == 1 ? 202 : 503));
        CHECK(due - answers[0].due == (n - 1) * 1ms);
        CHECK(latency >= n * 19ms);  // one at a time, 20 ms each
    }
    CHECK(answers.back().latency <= report.latency.max());
}

TEST_CASE("The report is told in lines and in JSON") {
    LoadReport report;
    report.accepted = 2;
    report.rejected = 1;
    report.errors = {0, 4, 0, 0, 1};
    report.duration = 2s;
    report.latency.record(100us);
    report.latency.record(100us);
    report.latency.record(100us);
    report.latency.record(3s);
    report.rejection_latency.record(200us);
    CHECK(report.errors_in_all() == 5);
    CHECK(to_text(report) ==
          "  accepted 2   rejected 1   errors 5, 4 timeout, 1 status\n"
          "  2 answers a second over 2.00 s\n"
          "  latency p50 0.10 ms   p90 3000.00 ms   p99 3000.00 ms   max 3000.00 ms\n"
          "  of 503s p50 0.20 ms   p90 0.20 ms   p99 0.20 ms   max 0.20 ms\n");
    CHECK(
        to_json(report) ==
        R"({"accepted":2,"rejected":1,"errors":{"connect":0,"timeout":4,"closed":0,)"
        R"("malformed":0,"status":1},"never_sent":0,"sent_again":0,"duration_us":2000000,"answers_per_second":2.0,)"
        R"("latency_us":{"p50":100,"p90":3000000,"p99":3000000,"max":3000000},)"
        R"("rejection_latency_us":{"p50":200,"p90":200,"p99":200,"max":200}})");
}

TEST_CASE("A server that has stopped answering is given up", "[waits]") {
    TestServer server{[](std::size_t n) { return n < 5 ? answer(200) : Reply{}; }};
    LoadOptions options{.requests = 1'000, .concurrency = 4, .timeout_ms = 50ms};
    const LoadReport report = run_load(server.target(), options);
    CHECK(report.accepted == 5);
    CHECK(report.errors[static_cast<std::size_t>(LoadError::timeout)] >= 10);
    CHECK(report.never_sent > 900);
    CHECK(report.accepted + report.errors_in_all() + report.never_sent == options.requests);
}

TEST_CASE("A load that lacks descriptors says so, and blames no server") {
    const ServerProcess server{server_command("stage02_async")};
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit few{30, limit.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    std::string complaint;
    try {
        run_load(server.target(), {.requests = 50, .concurrency = 50});
    } catch (const std::system_error& error) {
        complaint = error.what();
    }
    try {
        std::list<Connection> connections;
        while (connections.size() < 50) {
            connections.emplace_back(server.target());
        }
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == EMFILE);
        complaint += ", and connections";
    }
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(complaint == "no more connections can be opened: Too many open files, and connections");
}

TEST_CASE("A request that finds its connection closed is sent once more on a new one") {
    TestServer server{[](std::size_t n) {
        Reply reply = n == 2 ? Reply{"HTTP"} : answer(200);
        reply.close = n != 1;
        return reply;
    }};
    Connection connection{server.target()};
    CHECK(connection.exchange(post("0")));
    CHECK(connection.exchange(post("1")));  // the server has closed, so it has a new connection
    CHECK(server.seen().accepted == 2);
    CHECK(!connection.exchange(post("2")));  // a part of a response is one
    CHECK(server.seen().accepted == 2);
    CHECK(server.seen().bodies == std::vector<std::string>{"0", "1", "2"});
}

TEST_CASE("A connection that has ended says so however often it is asked") {
    TestServer server{[](std::size_t) { return Reply{{}, true, 10ms}; }};
    for (int i = 0; i < 20; ++i) {
        Connection connection{server.target()};
        REQUIRE(connection.send(post("hello")));
        CHECK(!connection.receive());  // which waits until it ends
        CHECK(connection.closed_by_server());
        CHECK(!connection.receive());
    }
}

TEST_CASE("A connection that takes no more says so however often it is asked") {
    TestServer server{[](std::size_t) { return Reply{{}, true}; }};
    Connection connection{server.target()};
    REQUIRE(connection.send(post("hello")));
    CHECK(connection.closed_by_server());
    const auto start = std::chrono::steady_clock::now();
    std::size_t failed = 0;
    for (int i = 0; i < 20; ++i) {
        failed += connection.send("x", 1min) ? 0 : 1;
    }
    CHECK(failed >= 18);  // the first may be what makes the server's kernel say so
    CHECK(std::chrono::steady_clock::now() - start < 30s);
}
