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

/// A small server in this process, whose sessions can be told to finish.
class Small {
public:
    explicit Small(SessionLimits limits = {}) : limits_{limits} {
        asio::co_spawn(io_, accept_all(), stop_on_exception);
        thread_ = std::jthread{[this] { io_.run(); }};
    }

    /// Ends when all sessions have: run() has nothing to do then.
    ~Small() {
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

void answered(Connection& connection, std::string_view request) {
    connection.send(request);
    REQUIRE(connection.receive());
}

}  // namespace

TEST_CASE("Who is idle is closed, and nobody is waited for then") {
    Small server;
    std::list<Connection> idle;
    for (int i = 0; i < 100; ++i) {
        idle.emplace_back(server.target());
        if (i % 2 == 0) {
            answered(idle.back(), post("hello"));
        }
    }
    CHECK(!server.sessions().wait_until(in(20ms), {}));
    CHECK(!server.sessions().draining());
    server.sessions().drain();
    CHECK(server.sessions().draining());
    CHECK(server.sessions().wait_until(in(5s), {}));
    for (Connection& connection : idle) {
        CHECK(!connection.receive());  // without a word, as there was no question
        CHECK(connection.closed_by_server());
    }
}

TEST_CASE("A request in hand is answered, and the last one", "[waits]") {
    Small server;
    const std::string request = post("hello");
    Connection half{server.target()};
    half.send(request.substr(0, request.size() - 3));
    Connection looking{server.target()};
    answered(looking, get);  // so the other has been read from
    server.sessions().drain();
    CHECK(!server.sessions().wait_until(in(50ms), {}));
    std::stop_source impatient;
    impatient.request_stop();
    CHECK(!server.sessions().wait_until(in(5s), impatient.get_token()));
    half.send(request.substr(request.size() - 3) + request);
    const auto answer = half.receive();
    REQUIRE(answer);
    CHECK(answer->body == "hello");
    CHECK(!answer->keep_alive);
    CHECK(half.closed_by_server());
    CHECK(server.sessions().wait_until(in(5s), {}));
}

TEST_CASE("Who has sent a request before the end gets an answer, read by then or not") {
    for (int i = 0; i < 200; ++i) {
        Small server;
        Connection connection{server.target()};
        answered(connection, post("first"));
        connection.send(post("second"));
        server.sessions().drain();
        const auto answer = connection.receive();
        REQUIRE(answer);
        CHECK(answer->body == "second");
        CHECK(connection.closed_by_server());
    }
}

TEST_CASE("Who only looks may look on, and is not waited for") {
    Small server;
    Connection looking{server.target()};
    answered(looking, get);
    server.sessions().drain();
    CHECK(server.sessions().wait_until(in(5s), {}));
    answered(looking, get);
    answered(looking, get);
}

TEST_CASE("Who comes behind the end is closed, or gets the one answer that he asked for") {
    Small server;
    server.sessions().drain();
    Connection late{server.target()};
    CHECK(late.closed_by_server());
    Connection hasty{server.target()};
    hasty.send(post("hello"));
    const auto answer = hasty.receive(1s);
    CHECK((!answer || !answer->keep_alive));
    CHECK(server.sessions().wait_until(in(5s), {}));
}

TEST_CASE("A half request that never gets whole is given up as ever") {
    SessionLimits limits;
    limits.head_ms = 50ms;
    limits.linger_ms = 10ms;
    Small server{limits};
    Connection half{server.target()};
    half.send("POST / HT");
    Connection looking{server.target()};
    answered(looking, get);
    server.sessions().drain();
    const auto answer = half.receive();
    REQUIRE(answer);
    CHECK(answer->status == 408);
    CHECK(server.sessions().wait_until(in(5s), {}));
}

TEST_CASE("Who has been refused may go on to read why") {
    SessionLimits limits;
    limits.linger_ms = 500ms;
    Small server{limits};
    Connection refused{server.target()};
    refused.send("garbage\r\n\r\n");
    Connection looking{server.target()};
    answered(looking, get);  // so the other has been read from
    server.sessions().drain();
    CHECK(!server.sessions().wait_until(in(50ms), {}));
    const auto answer = refused.receive();
    REQUIRE(answer);
    CHECK(answer->status == 400);
    CHECK(server.sessions().wait_until(in(5s), {}));
}

TEST_CASE("No descriptor and no thread is left of a server that has ended") {
    { const Small first; }  // with the first thread a sanitizer starts one of its own, and keeps it
    const auto descriptors_before = descriptors(getpid());
    const auto threads_before = status_number(getpid(), "Threads");
    for (int i = 0; i < 20; ++i) {
        Small server;
        std::list<Connection> connections;
        for (int c = 0; c < 10; ++c) {
            connections.emplace_back(server.target());
            answered(connections.back(), post("hello"));
        }
        server.sessions().drain();
        CHECK(server.sessions().wait_until(in(5s), {}));
    }
    CHECK(descriptors(getpid()) == descriptors_before);
    CHECK(status_number(getpid(), "Threads") == threads_before);
}
