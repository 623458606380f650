#include "stage10_shutdown/sessions.hpp"

#include <list>
#include <thread>

#include "clients/probe/connection.hpp"
#include "clients/probe/process.hpp"
#include "common/catch.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

/// A small echo server in this process, whose sessions can be drained.
class EchoServer {
public:
    explicit EchoServer(SessionLimits limits = {}) : limits_{limits} {
        asio::co_spawn(io_, accept_all(), stop_on_exception);
        thread_ = std::jthread{[this] { io_.run(); }};
    }

    /// Ends when all sessions have: run() has nothing to do then.
    ~EchoServer() {
        asio::post(io_, [this] { acceptor_.close(); });
    }

    Target target() const { return {.port = acceptor_.local_endpoint().port()}; }
    Sessions& sessions() { return sessions_; }

private:
    awaitable<void> accept_all() {
        for (;;) {
            asio::error_code closed;
            Socket socket =
                co_await acceptor_.async_accept(asio::redirect_error(use_awaitable, closed));
            if (closed) {
                co_return;
            }
            asio::co_spawn(io_, handle(std::move(socket)), stop_on_exception);
        }
    }

    awaitable<void> handle(Socket socket) {
        Session session{socket, limits_};
        const Sessions::Entry entry{sessions_, session};
        while (const Request* request = co_await session.next()) {
            session.reply({.body = std::string(request->body)});
        }
    }

    SessionLimits limits_;
    Sessions sessions_;  // before the io_context, whose coroutines refer to it
    asio::io_context io_;
    Acceptor acceptor_{io_, {asio::ip::make_address("127.0.0.1"), 0}};
    std::jthread thread_;
};

auto in(std::chrono::milliseconds patience) { return steady_clock::now() + patience; }

const std::string get = "GET / HTTP/1.1\r\nHost: unfreeze\r\n\r\n";

void check_answered(Connection& connection, std::string_view request) {
    connection.send(request);
    REQUIRE(connection.receive());
}

}  // namespace

TEST_CASE("A drain closes idle sessions, and then there is none to wait for") {
    EchoServer server;
    std::list<Connection> idle;
    for (int i = 0; i < 100; ++i) {
        idle.emplace_back(server.target());
        if (i % 2 == 0) {
            check_answered(idle.back(), post("hello"));
        }
    }
    CHECK(!server.sessions().wait_until(in(20ms), {}));
    CHECK(!server.sessions().draining());
    server.sessions().drain();
    CHECK(server.sessions().draining());
    CHECK(server.sessions().wait_until(in(5s), {}));
    for (Connection& connection : idle) {
        CHECK(!connection.receive());  // no response, because there was no request
        CHECK(connection.closed_by_server());
    }
}

TEST_CASE("A request in flight gets a response, and its connection closes", "[waits]") {
    EchoServer server;
    const std::string request = post("hello");
    Connection partial{server.target()};
    partial.send(request.substr(0, request.size() - 3));
    Connection reader{server.target()};
    check_answered(reader, get);  // so the server has read from the other connection
    server.sessions().drain();
    CHECK(!server.sessions().wait_until(in(50ms), {}));
    std::stop_source stop;
    stop.request_stop();
    CHECK(!server.sessions().wait_until(in(5s), stop.get_token()));
    partial.send(request.substr(request.size() - 3) + request);
    const auto response = partial.receive();
    REQUIRE(response);
    CHECK(response->body == "hello\n");
    CHECK(!response->keep_alive);
    CHECK(partial.closed_by_server());
    CHECK(server.sessions().wait_until(in(5s), {}));
}

TEST_CASE("A request sent before the drain gets a response, even if it has not been read by then") {
    for (int i = 0; i < 200; ++i) {
        EchoServer server;
        Connection connection{server.target()};
        check_answered(connection, post("first"));
        connection.send(post("second"));
        server.sessions().drain();
        const auto response = connection.receive();
        REQUIRE(response);
        CHECK(response->body == "second\n");
        CHECK(connection.closed_by_server());
    }
}

TEST_CASE("A client that only reads may continue, and the drain does not wait for it") {
    EchoServer server;
    Connection reader{server.target()};
    check_answered(reader, get);
    server.sessions().drain();
    CHECK(server.sessions().wait_until(in(5s), {}));
    check_answered(reader, get);
    check_answered(reader, get);
}

TEST_CASE("A connection accepted after the drain closes, after at most one response") {
    EchoServer server;
    server.sessions().drain();
    Connection late{server.target()};
    CHECK(late.closed_by_server());
    Connection sender{server.target()};
    sender.send(post("hello"));
    const auto response = sender.receive(1s);
    CHECK((!response || !response->keep_alive));
    CHECK(server.sessions().wait_until(in(5s), {}));
}

TEST_CASE("An incomplete request still times out during the drain") {
    SessionLimits limits;
    limits.head_ms = 50ms;
    limits.linger_ms = 10ms;
    EchoServer server{limits};
    Connection partial{server.target()};
    partial.send("POST / HT");
    Connection reader{server.target()};
    check_answered(reader, get);
    server.sessions().drain();
    const auto response = partial.receive();
    REQUIRE(response);
    CHECK(response->status == 408);
    CHECK(server.sessions().wait_until(in(5s), {}));
}

TEST_CASE("A refused client still receives its response during the drain") {
    SessionLimits limits;
    limits.linger_ms = 500ms;
    EchoServer server{limits};
    Connection refused{server.target()};
    refused.send("garbage\r\n\r\n");
    Connection reader{server.target()};
    check_answered(reader, get);  // so the server has read from the other connection
    server.sessions().drain();
    CHECK(!server.sessions().wait_until(in(50ms), {}));
    const auto response = refused.receive();
    REQUIRE(response);
    CHECK(response->status == 400);
    CHECK(server.sessions().wait_until(in(5s), {}));
}

TEST_CASE("A server that has ended leaves no descriptor and no thread") {
    // A sanitizer starts its own thread together with the first one, and keeps it.
    { const EchoServer first; }
    const auto descriptors_before = descriptors(getpid());
    const auto threads_before = status_number(getpid(), "Threads");
    for (int i = 0; i < 20; ++i) {
        EchoServer server;
        std::list<Connection> connections;
        for (int c = 0; c < 10; ++c) {
            connections.emplace_back(server.target());
            check_answered(connections.back(), post("hello"));
        }
        server.sessions().drain();
        CHECK(server.sessions().wait_until(in(5s), {}));
    }
    CHECK(descriptors(getpid()) == descriptors_before);
    CHECK(status_number(getpid(), "Threads") == threads_before);
}
