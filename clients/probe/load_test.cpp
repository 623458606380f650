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

/// The server's reaction to a request: it sends the bytes, if any, and closes or reads on.
struct Reply {
    std::string bytes = {};
    bool close = false;
    std::chrono::milliseconds delay{0};  // of this reply only
};

/// A complete response, after which the connection stays open.
Reply respond(int status, std::string_view fields = {}) {
    return {.bytes = fmt::format("HTTP/1.1 {} Reason\r\n{}Content-Length: 2\r\n\r\n{{}}", status,
                                 fields)};
}

/// The same after a delay.
Reply respond_after(std::chrono::milliseconds delay, int status) {
    Reply reply = respond(status);
    reply.delay = delay;
    return reply;
}

/// Sends the bytes and closes the connection.
Reply close_after(std::string_view bytes) { return {.bytes = std::string{bytes}, .close = true}; }

/// A server that runs in its own thread. Its behaviour maps the number of a request, counted from 0
/// in the order of arrival, to the reply, and is called in that thread.
class TestServer {
public:
    using Behaviour = std::function<Reply(std::size_t n)>;

    /// The server's counts of its clients' actions.
    struct Totals {
        std::size_t accepted = 0;     // connections
        std::size_t at_once_max = 0;  // requests in flight
        std::size_t closing = 0;      // requests with Connection: close
        std::vector<std::string> bodies;
    };

    /// Sends no reply until `gathered` requests are in flight.
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

    Totals totals() const {
        const std::lock_guard lock{mutex_};
        return totals_;
    }

private:
    static asio::awaitable<void> accept(TestServer& server) {
        for (;;) {
            tcp::socket socket = co_await server.acceptor_.async_accept(asio::use_awaitable);
            server.update([](Totals& totals) { ++totals.accepted; });
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
                const std::size_t n = server.count(parser.request());
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

    /// Counts a request, and returns its number.
    std::size_t count(const Request& request) {
        ++at_once_;
        if (at_once_ == gathered_) {
            all_gathered_ = true;
            gathering_.cancel();
        }
        std::size_t n = 0;
        update([&](Totals& totals) {
            n = totals.bodies.size();
            totals.at_once_max = std::max(totals.at_once_max, at_once_);
            totals.closing += request.keep_alive ? 0 : 1;
            totals.bodies.emplace_back(request.body);
        });
        return n;
    }

    template <typename Change>
    void update(Change change) {
        const std::lock_guard lock{mutex_};
        change(totals_);
    }

    const Behaviour behaviour_;
    const std::size_t gathered_;
    mutable std::mutex mutex_;
    Totals totals_;  // guarded by mutex_; the server's thread alone uses the members below
    std::size_t at_once_ = 0;
    bool all_gathered_ = false;
    asio::io_context io_{1};
    tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    const std::uint16_t port_ = acceptor_.local_endpoint().port();
    asio::steady_timer gathering_{io_, asio::steady_timer::time_point::max()};
    std::thread thread_;
};

/// Runs the load. Checks that each request is counted once, and each response has a latency.
LoadReport run(const Target& target, const LoadOptions& options) {
    const LoadReport report = run_load(target, options);
    CHECK(report.accepted + report.rejected + report.errors_in_all() + report.never_sent ==
          options.requests);
    CHECK(report.latency.count() == report.accepted + report.rejected +
                                        report.errors[static_cast<std::size_t>(LoadError::status)]);
    CHECK(report.latency.max() <= report.duration);
    return report;
}

/// Checks that all requests failed with this error.
void check_all(const LoadReport& report, LoadError error) {
    INFO(to_text(report));
    CHECK(report.errors_in_all() > 0);
    CHECK(report.errors[static_cast<std::size_t>(error)] == report.errors_in_all());
    CHECK(report.accepted + report.rejected == 0);
}

/// Runs a small load against a server with this behaviour, with and without keep-alive.
template <typename Check>
void under_load(const TestServer::Behaviour& behaviour, Check check) {
    for (const bool keep_alive : {false, true}) {
        CAPTURE(keep_alive);
        TestServer server{behaviour};
        check(run(server.target(), {.requests = 60, .concurrency = 4, .keep_alive = keep_alive}));
    }
}

}  // namespace

TEST_CASE("Accepted, rejected and other responses are counted separately") {
    SECTION("all accepted") {
        under_load([](std::size_t n) { return respond(n % 2 == 0 ? 200 : 299); },
                   [](const LoadReport& report) { CHECK(report.accepted == 60); });
    }
    SECTION("every other one rejected") {
        under_load([](std::size_t n) { return respond(n % 2 == 0 ? 200 : 503); },
                   [](const LoadReport& report) {
                       CHECK(report.accepted == 30);
                       CHECK(report.rejected == 30);
                       CHECK(report.rejection_latency.count() == 30);
                       CHECK(report.rejection_latency.max() <= report.latency.max());
                   });
    }
    SECTION("other statuses") {
        for (const int status : {301, 400, 500, 502, 504}) {
            CAPTURE(status);
            under_load([=](std::size_t) { return respond(status); },
                       [](const LoadReport& report) { check_all(report, LoadError::status); });
        }
    }
}

TEST_CASE("A response may be long, or end with the connection") {
    const std::string body(100'000, 'x');
    under_load(
        [&](std::size_t n) {
            return n % 2 == 0 ? Reply{fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
                                                  body.size(), body)}
                              : close_after("HTTP/1.1 200 OK\r\n\r\n" + body);
        },
        [](const LoadReport& report) { CHECK(report.accepted == 60); });
}

TEST_CASE("A close instead of a response counts as a closed error") {
    const std::string whole = respond(200).bytes;
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{9}, whole.size() - 1}) {
        CAPTURE(bytes);
        under_load([&](std::size_t) { return close_after(whole.substr(0, bytes)); },
                   [](const LoadReport& report) { check_all(report, LoadError::closed); });
    }
}

TEST_CASE("A response that is not HTTP counts as a malformed error") {
    under_load([](std::size_t) { return Reply{"220 mail.example ESMTP\r\n\r\n"}; },
               [](const LoadReport& report) { check_all(report, LoadError::malformed); });
}

TEST_CASE("A response that does not arrive in time counts as a timeout error", "[waits]") {
    const std::string whole = respond(200).bytes;
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

TEST_CASE("A refused connect counts as a connect error, a slow one as a timeout", "[waits]") {
    asio::io_context io;
    tcp::acceptor acceptor{io, tcp::v4()};
    acceptor.bind({asio::ip::address_v4::loopback(), 0});
    const Target target{.port = acceptor.local_endpoint().port()};
    const LoadOptions options{.requests = 8, .concurrency = 4, .timeout_ms = 200ms};

    SECTION("no server listens") { check_all(run(target, options), LoadError::connect); }
    SECTION("the server's backlog is full") {
        acceptor.listen(0);
        const Connection first{target};  // fills the backlog, so the kernel drops the next ones
        REQUIRE(first.connected());
        check_all(run(target, options), LoadError::timeout);
    }
}

TEST_CASE("No error affects the next request", "[waits]") {
    for (const bool keep_alive : {false, true}) {
        CAPTURE(keep_alive);
        const TestServer server{[](std::size_t n) {
            const std::array<Reply, 8> replies{
                respond(200),
                close_after(""),  // closed
                respond(503),
                Reply{""},  // timeout
                respond(500),
                Reply{"garbage\r\n\r\n"},
                Reply{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"},
                respond(201)};
            return replies.at(n % replies.size());
        }};
        const LoadReport report = run(server.target(), {.requests = keep_alive ? 14U : 16U,
                                                        .concurrency = 1,
                                                        .keep_alive = keep_alive,
                                                        .timeout_ms = 100ms});
        CHECK(report.accepted == 4);
        CHECK(report.rejected == 2);
        // A request that meets a closed connection is retried, and gets the next reply.
        const std::uint64_t closed = keep_alive ? 0 : 2;
        CHECK(report.errors == std::array<std::uint64_t, load_error_kinds>{0, 4, closed, 2, 2});
        CHECK(report.sent_again == 2 - closed);
    }
}

TEST_CASE("The timeout limits each request, not the connection", "[waits]") {
    TestServer server{[](std::size_t) { return respond_after(30ms, 200); }};
    const LoadReport report =
        run(server.target(),
            {.requests = 20, .concurrency = 1, .keep_alive = true, .timeout_ms = 300ms});
    CHECK(report.accepted == 20);
    CHECK(report.duration >= 600ms);
    CHECK(report.latency.quantile(0.0) >= 30ms);
}

TEST_CASE("With keep-alive a connection carries many requests") {
    TestServer server{[](std::size_t) { return respond(200); }};
    const LoadReport report =
        run(server.target(), {.requests = 300, .concurrency = 3, .keep_alive = true});
    CHECK(report.accepted == 300);
    CHECK(server.totals().accepted == 3);
    CHECK(server.totals().closing == 0);
}

TEST_CASE("If the server closes a connection, the client opens another one") {
    const LoadOptions options{.requests = 40, .concurrency = 1, .keep_alive = true};
    SECTION("the server sends Connection: close, and the client closes") {
        TestServer server{[](std::size_t n) {
            return n % 10 == 9 ? respond(200, "Connection: close\r\n") : respond(200);
        }};
        CHECK(run(server.target(), options).accepted == 40);
        CHECK(server.totals().accepted == 4);
    }
    SECTION("the server closes, and the request in flight is retried") {
        TestServer server{[](std::size_t) { return close_after(respond(200).bytes); }};
        const LoadReport report = run(server.target(), options);
        CHECK(report.accepted == 40);
        CHECK(report.sent_again == 39);
        CHECK(to_text(report).find("\n  39 retried on a new connection\n") != std::string::npos);
        CHECK(server.totals().accepted == 40);
    }
    SECTION("the server closes again, which counts as an error") {
        TestServer server{
            [](std::size_t n) { return n % 3 == 0 ? respond(200) : close_after(""); }};
        const LoadReport report = run(server.target(), options);
        CHECK(report.accepted == 20);
        CHECK(report.errors == std::array<std::uint64_t, load_error_kinds>{0, 0, 20, 0, 0});
        CHECK(report.sent_again == 20);
    }
    SECTION("a response had started, so the request is not retried") {
        TestServer server{
            [](std::size_t n) { return n % 2 == 0 ? respond(200) : close_after("HTTP/1.1 200"); }};
        const LoadReport report = run(server.target(), options);
        CHECK(report.accepted == 20);
        CHECK(report.errors == std::array<std::uint64_t, load_error_kinds>{0, 0, 20, 0, 0});
        CHECK(report.sent_again == 0);
    }
}

TEST_CASE("Without keep-alive, each request has its own connection and Connection: close") {
    TestServer server{[](std::size_t) { return respond(200); }};
    CHECK(run(server.target(), {.requests = 100, .concurrency = 3}).accepted == 100);
    CHECK(server.totals().accepted == 100);
    CHECK(server.totals().closing == 100);
}

TEST_CASE("The number of requests in flight is the concurrency") {
    for (const bool keep_alive : {false, true}) {
        CAPTURE(keep_alive);
        // The first replies wait for eight requests: with fewer, the load would time out. Each
        // reply then takes 10 ms, in which a ninth request would arrive.
        TestServer server{[](std::size_t) { return respond_after(10ms, 200); }, 8};
        const LoadReport report =
            run(server.target(), {.requests = 80, .concurrency = 8, .keep_alive = keep_alive});
        CHECK(report.accepted == 80);
        CHECK(server.totals().at_once_max == 8);
    }
}

TEST_CASE("With fewer requests than the concurrency, each is sent once") {
    TestServer server{[](std::size_t) { return respond(200); }, 3};
    const LoadReport report =
        run(server.target(), {.requests = 3, .concurrency = 50, .keep_alive = true});
    CHECK(report.accepted == 3);
    CHECK(server.totals().accepted == 3);
}

TEST_CASE("Each number is used for one request, and each body arrives") {
    TestServer server{[](std::size_t n) { return n % 3 == 0 ? close_after("") : respond(200); }};
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
    std::vector<std::string> arrived = server.totals().bodies;
    std::sort(arrived.begin(), arrived.end());
    arrived.erase(std::unique(arrived.begin(), arrived.end()),
                  arrived.end());  // retries arrive twice
    CHECK(arrived == expected);
}

TEST_CASE("With a rate, no request is sent before it is due") {
    TestServer server{[](std::size_t) { return respond(200); }};
    const LoadReport report =
        run(server.target(), {.requests = 101, .concurrency = 10, .keep_alive = true, .rate = 500});
    CHECK(report.accepted == 101);
    CHECK(report.duration >= 200ms);              // the last is due after 100 / 500 s
    CHECK(report.latency.quantile(0.5) < 100ms);  // waiting until it is due is not latency
}

TEST_CASE("A stall counts for all requests that were due during it") {
    TestServer server{[](std::size_t n) {
        if (n == 400) {
            std::this_thread::sleep_for(500ms);  // blocks the server's only thread
        }
        return respond(200);
    }};
    const LoadReport report = run(
        server.target(), {.requests = 1'000, .concurrency = 4, .keep_alive = true, .rate = 1'000});
    INFO(to_text(report));
    CHECK(report.accepted == 1'000);

    // The stall begins 400 ms after the start or later, and ends at 900 ms or later. Request n is
    // due at n ms, so requests 400 to 700 have a latency of 200 ms or more, however fast the
    // machine is. These are 300 requests, so the slowest 250 of the 1,000 have at least that
    // latency. A client that measures from the send would find only the four requests in flight,
    // and a p99 of less than a millisecond.
    CHECK(report.latency.quantile(0.75) >= 200ms);
    CHECK(report.latency.max() >= 500ms);

    // Requests that were due before the stall did not wait for it.
    CHECK(report.latency.quantile(0.25) < 100ms);
}

TEST_CASE("The callback receives each response with its number, due time and latency") {
    TestServer server{[](std::size_t n) {
        Reply reply = n % 4 == 0 ? close_after("") : respond(n % 4 == 1 ? 202 : 503);
        reply.delay = 20ms;
        return reply;
    }};
    std::vector<LoadAnswer> answers;
    LoadOptions options{.requests = 40, .concurrency = 1, .rate = 1'000};
    options.answered = [&](const LoadAnswer& answer) { answers.push_back(answer); };
    const LoadReport report = run(server.target(), options);
    CHECK(report.accepted == 10);
    CHECK(report.rejected == 20);
    REQUIRE(answers.size() == 30);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto& [n, due, latency, status] = answers[i];
        INFO(n);
        CHECK(n == i / 3 * 4 + i % 3 + 1);  // every fourth has none
        CHECK(status == (n % 4 == 1 ? 202 : 503));
        CHECK(due - answers[0].due == (n - 1) * 1ms);
        CHECK(latency >= n * 19ms);  // one at a time, 20 ms each
    }
    CHECK(answers.back().latency <= report.latency.max());
}

TEST_CASE("The report prints as lines and as JSON") {
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

TEST_CASE("The load stops early if the server stops responding", "[waits]") {
    TestServer server{[](std::size_t n) { return n < 5 ? respond(200) : Reply{}; }};
    LoadOptions options{.requests = 1'000, .concurrency = 4, .timeout_ms = 50ms};
    const LoadReport report = run_load(server.target(), options);
    CHECK(report.accepted == 5);
    CHECK(report.errors[static_cast<std::size_t>(LoadError::timeout)] >= 10);
    CHECK(report.never_sent > 900);
    CHECK(report.accepted + report.errors_in_all() + report.never_sent == options.requests);
}

TEST_CASE("A load without descriptors throws, and does not blame the server") {
    const ServerProcess server{server_command("stage02_async")};
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit few{30, limit.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    std::string message;
    try {
        static_cast<void>(run_load(server.target(), {.requests = 50, .concurrency = 50}));
    } catch (const std::system_error& error) {
        message = error.what();
    }
    try {
        std::list<Connection> connections;
        while (connections.size() < 50) {
            connections.emplace_back(server.target());
        }
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == EMFILE);
        message += ", and connections";
    }
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(message == "can't open another connection: Too many open files, and connections");
}

TEST_CASE("A request that meets a closed connection is retried on a new one") {
    TestServer server{[](std::size_t n) {
        Reply reply = n == 2 ? Reply{"HTTP"} : respond(200);
        reply.close = n != 1;
        return reply;
    }};
    Connection connection{server.target()};
    CHECK(connection.exchange(post("0")));
    CHECK(
        connection.exchange(post("1")));  // the server has closed, so this opens another connection
    CHECK(server.totals().accepted == 2);
    CHECK(!connection.exchange(post("2")));  // a response had started
    CHECK(server.totals().accepted == 2);
    CHECK(server.totals().bodies == std::vector<std::string>{"0", "1", "2"});
}

TEST_CASE("An ended connection reports its end on each call") {
    TestServer server{[](std::size_t) { return Reply{.close = true, .delay = 10ms}; }};
    for (int i = 0; i < 20; ++i) {
        Connection connection{server.target()};
        REQUIRE(connection.send(post("hello")));
        CHECK(!connection.receive());  // waits until it ends
        CHECK(connection.closed_by_server());
        CHECK(!connection.receive());
    }
}

TEST_CASE("A connection that can't send reports that on each call") {
    TestServer server{[](std::size_t) { return close_after(""); }};
    Connection connection{server.target()};
    REQUIRE(connection.send(post("hello")));
    CHECK(connection.closed_by_server());
    const auto start = std::chrono::steady_clock::now();
    std::size_t failed = 0;
    for (int i = 0; i < 20; ++i) {
        failed += connection.send("x", 1min) ? 0 : 1;
    }
    CHECK(failed >= 18);  // the first send may succeed, before the server's kernel resets
    CHECK(std::chrono::steady_clock::now() - start < 30s);
}
