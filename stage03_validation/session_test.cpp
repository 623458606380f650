#include "stage03_validation/session.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#include "common/catch.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

std::atomic<std::size_t> allocations{0};

}  // namespace

// Counts allocations. Includes the operators that do not throw, so that all memory comes from
// malloc and returns to it.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size);
}
void* operator new(std::size_t size) {
    if (void* memory = operator new(size, std::nothrow)) {
        return memory;
    }
    throw std::bad_alloc{};
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace {

/// Both ends of a connection, in one thread.
struct SocketPair {
    explicit SocketPair(asio::io_context& io) : client{io}, server{io} {
        Acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
        client.connect(acceptor.local_endpoint());
        acceptor.accept(server);
        client.non_blocking(true);
    }

    Socket client;
    Socket server;
};

/// Counts how often it is read.
class CountingClock : public Clock {
public:
    time_point now() const override {
        ++reads;
        return Clock::now();
    }

    mutable int reads = 0;
};

/// Stands still until the test advances it. A timer reads it every millisecond.
class ManualClock : public CountingClock {
public:
    time_point now() const override {
        ++reads;
        return now_;
    }
    time_point check_time(time_point) const override {
        ++checks;
        return Clock::now() + 1ms;
    }
    void advance(std::chrono::milliseconds by) { now_ += by; }

    mutable int checks = 0;  // how often a timer has begun to wait

private:
    time_point now_{1000h};
};

/// Answers each request with its own body, and with the status that its target names, such as /404.
awaitable<void> echo(Socket socket, SessionLimits limits, const Clock& clock, bool& ended,
                     int& refusals) {
    Session session{socket, limits, clock};
    session.on_refusal([&refusals] { ++refusals; });
    while (const Request* request = co_await session.next()) {
        const std::string status{request->path().substr(1)};
        session.reply({.status = status.empty() ? 200 : std::stoi(status),
                       .body = std::string{request->body}});
    }
    ended = true;
}

/// A session that echoes each request's body, and its client.
class Echo {
public:
    explicit Echo(const SessionLimits& limits = {}, const Clock& clock = Clock::steady())
        : sockets_{io_} {
        asio::co_spawn(io_, echo(std::move(sockets_.server), limits, clock, ended_, refusals_),
                       stop_on_exception);
    }

    Socket& client() { return sockets_.client; }

    void send(std::string_view bytes) { asio::write(client(), asio::buffer(bytes)); }

    /// Returns all that the client has received, once it contains `text` or after 5 s.
    const std::string& receive_until(std::string_view text) {
        return run_until([&] { return received_.find(text) != std::string::npos; });
    }

    /// The same, once the session's timer has read the clock and found its deadline not reached,
    /// three times.
    const std::string& receive_until_clock_read(const ManualClock& clock) {
        return run_until([&, checks = clock.checks] { return clock.checks >= checks + 3; });
    }

    /// The same, once the session has ended.
    const std::string& receive_to_end() {
        return run_until([&] { return ended_; });
    }

    /// Runs until the session's timer has read the clock once, and not one step further.
    void run_until_clock_read(const ManualClock& clock) {
        run_until([&, reads = clock.reads] { return clock.reads > reads; });
    }

    bool ended() const { return ended_; }

    /// The number of refusals that the session has reported.
    int refusals() const { return refusals_; }

    /// From now on, the client reads nothing.
    void stop_reading() { reading_stopped_ = true; }

private:
    template <typename Condition>
    const std::string& run_until(Condition condition) {
        const auto deadline = std::chrono::steady_clock::now() + 5s;
        while (!condition() && std::chrono::steady_clock::now() < deadline) {
            io_.restart();
            io_.run_one_for(10ms);
            read_available();
        }
        CHECK(condition());
        read_available();
        return received_;
    }

    void read_available() {
        asio::error_code would_block;
        while (!reading_stopped_ && !would_block) {
            char buffer[4096];
            received_.append(buffer, client().read_some(asio::buffer(buffer), would_block));
        }
    }

    bool ended_ = false;  // outlives io_, in whose coroutines it is set
    int refusals_ = 0;    // so does this
    bool reading_stopped_ = false;
    std::string received_;
    asio::io_context io_;
    SocketPair sockets_;
};

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t times = 0;
    for (std::size_t at = text.find(part); at != std::string_view::npos;
         at = text.find(part, at + 1)) {
        ++times;
    }
    return times;
}

std::string request(std::string_view body) {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + std::string{body};
}

}  // namespace

TEST_CASE("Requests that arrive in one read are answered in one write") {
    Echo echo;
    std::string requests;
    for (int i = 0; i < 40; ++i) {
        requests += request("body " + std::to_string(i) + ".");
    }
    echo.send(requests);
    // The loop runs one step at a time, and a write is one step, so all responses arrive at once.
    const std::string& responses = echo.receive_until("HTTP/1.1");
    CHECK(count(responses, "HTTP/1.1 200 OK\r\n") == 40);
    for (int i = 1; i < 40; ++i) {
        CHECK(responses.find("body " + std::to_string(i - 1) + ".") <
              responses.find("body " + std::to_string(i) + "."));
    }
}

TEST_CASE("A client that expects 100 Continue gets it once, before it sends the body") {
    Echo echo;
    echo.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    CHECK(echo.receive_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    echo.send("ab");
    echo.send("cd");
    CHECK(count(echo.receive_until("abcd"), "100 Continue") == 1);
}

TEST_CASE("A client that has stopped sending still gets its response, and the session ends") {
    Echo echo;
    echo.send(request("last body"));
    echo.client().shutdown(Socket::shutdown_send);
    CHECK(echo.receive_to_end().ends_with("last body\n"));
}

TEST_CASE("A request that ends in the middle gets an error response") {
    Echo echo;
    echo.send("POST / HTTP/1.1\r\nHo");
    echo.client().shutdown(Socket::shutdown_send);
    CHECK(echo.receive_to_end().find("the connection ended inside a request") != std::string::npos);
}

TEST_CASE("Bytes after a request with Connection: close are ignored") {
    Echo echo;
    echo.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
    echo.send(request("b"));
    echo.client().shutdown(Socket::shutdown_send);
    CHECK(count(echo.receive_to_end(), "HTTP/1.1 200") == 1);
}

TEST_CASE("A client that resets its connection ends its session, after any byte of a request") {
    const std::string bytes = request("some body");
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        Echo echo;
        echo.send(bytes.substr(0, cut));
        echo.client().set_option(asio::socket_base::linger{true, 0});
        echo.client().close();
        echo.receive_to_end();
    }
}

TEST_CASE("A deadline does not touch a session that ends just when the deadline expires") {
    // The timer's handler may already be queued. AddressSanitizer would report its access.
    for (int i = 0; i < 200; ++i) {
        SessionLimits limits;
        limits.idle_ms = 1ms;
        limits.linger_ms = 0ms;
        Echo echo{limits};
        echo.receive_to_end();
    }
}

TEST_CASE("Moving a deadline does not allocate") {
    asio::io_context io;
    SocketPair sockets{io};
    Deadline deadline{sockets.server, Clock::steady()};
    const auto start = Clock::steady().now();
    deadline.expire_at(start + 1h);
    io.poll();
    const std::size_t before = allocations;
    for (int i = 0; i < 1000; ++i) {
        deadline.expire_at(start + 1h + i * 1s);
        io.poll();
    }
    CHECK(allocations == before);
    CHECK(!deadline.expired());
}

TEST_CASE("The deadline that was set last applies, whether it is earlier or later") {
    asio::io_context io;
    SocketPair sockets{io};
    bool canceled = false;
    sockets.server.async_wait(Socket::wait_read, [&](const asio::error_code& error) {
        canceled = error == asio::error::operation_aborted;
    });
    Deadline deadline{sockets.server, Clock::steady()};
    const auto start = Clock::steady().now();

    SECTION("an hour, then 50 ms") {
        deadline.expire_at(start + 1h);
        deadline.expire_at(start + 50ms);
    }
    SECTION("10 ms, then 50 ms") {
        deadline.expire_at(start + 10ms);
        deadline.expire_at(start + 50ms);
    }
    SECTION("reached once, then 50 ms") {
        deadline.expire_at(start);
        while (!deadline.expired() && Clock::steady().now() < start + 5s) {
            io.run_one_for(10ms);
        }
        CHECK(deadline.expired());
        io.poll();
        CHECK(canceled);
        canceled = false;
        sockets.server.async_wait(Socket::wait_read, [&](const asio::error_code& error) {
            canceled = error == asio::error::operation_aborted;
        });
        deadline.expire_at(start + 50ms);
    }
    CHECK(!deadline.expired());
    io.restart();
    while (!canceled && Clock::steady().now() < start + 5s) {
        io.run_one_for(10ms);
    }
    CHECK(canceled);
    CHECK(deadline.expired());
    CHECK(Clock::steady().now() - start >= 50ms);
    CHECK(Clock::steady().now() - start < 5s);
}

TEST_CASE("Each phase times out, however slowly its bytes arrive") {
    struct Row {
        std::string_view phase;
        std::string_view bytes;
        std::string_view more;  // does not end the phase
        std::string_view refusal;
    };
    const auto [phase, bytes, more, refusal] =
        GENERATE(Row{"idle", "", "\r\n", ""},  // there was no request: there is no response
                 Row{"head", "POST / HTTP/1.1\r\nHost: a\r\n", "X: y\r\n",
                     "the head took longer than 2000 ms"},
                 Row{"body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", "x",
                     "the body took longer than 3000 ms"});
    const auto limit = phase == "idle" ? 1000ms : phase == "head" ? 2000ms : 3000ms;
    CAPTURE(phase);
    SessionLimits limits;
    limits.idle_ms = 1000ms;
    limits.head_ms = 2000ms;
    limits.body_ms = 3000ms;
    limits.linger_ms = 0ms;
    ManualClock clock;
    Echo echo{limits, clock};

    SECTION("from the beginning of a connection") {}
    SECTION("after a response") {
        echo.receive_until_clock_read(clock);
        clock.advance(limits.idle_ms - 1ms);
        echo.send(request("first"));
        echo.receive_until("first");
    }
    echo.send(bytes);
    echo.receive_until_clock_read(clock);
    for (int i = 0; i < 3; ++i) {
        clock.advance(limit / 4);
        echo.send(more);
        CHECK(echo.receive_until_clock_read(clock).find(" 408 ") == std::string::npos);
    }
    clock.advance(limit / 4 - 1ms);
    CHECK(echo.receive_until_clock_read(clock).find(" 408 ") == std::string::npos);
    CHECK(!echo.ended());
    clock.advance(1ms);
    const std::string& received = echo.receive_to_end();
    CHECK(received.find(refusal) != std::string::npos);
    CHECK(count(received, "HTTP/1.1 408 ") == (phase == "idle" ? 0 : 1));
}

TEST_CASE("An idle connection closes without a response, unless a request has arrived by then") {
    SessionLimits limits;
    limits.idle_ms = 1000ms;
    ManualClock clock;
    Echo echo{limits, clock};
    std::string before;
    SECTION("from the beginning of a connection") {}
    SECTION("after a response") {
        echo.send(request("first"));
        before = echo.receive_until("first");
    }
    echo.receive_until_clock_read(clock);
    clock.advance(limits.idle_ms);
    SECTION("nothing has come") {
        CHECK(echo.receive_to_end() == before);
        CHECK(echo.refusals() == 0);
    }
    // Below, the timer has woken the session, which has yet to read the socket for the last time.
    SECTION("an empty line has come") {
        echo.run_until_clock_read(clock);
        echo.send("\r\n");
        CHECK(echo.receive_to_end() == before);
    }
    SECTION("a request has come") {
        echo.run_until_clock_read(clock);
        echo.send(request("in time"));
        echo.receive_until("in time");
        echo.receive_until_clock_read(clock);
        CHECK(!echo.ended());
    }
}

TEST_CASE("A refusal of HEAD has no body, whichever part of the session refuses it") {
    SessionLimits limits;
    limits.linger_ms = 0ms;
    ManualClock clock;
    Echo echo{limits, clock};
    SECTION("the parser") {
        echo.send("HEAD / HTTP/2.0\r\n");
        echo.receive_until(" 505 ");
    }
    SECTION("a deadline, before the request line is complete") {
        echo.send("HEAD /");
        echo.receive_until_clock_read(clock);
        clock.advance(limits.head_ms);
        echo.receive_until(" 408 ");
    }
    SECTION("a deadline, after the head is complete") {
        echo.send("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
        echo.receive_until_clock_read(clock);
        clock.advance(limits.body_ms);
        echo.receive_until(" 408 ");
    }
    SECTION("the end of the connection") {
        echo.send("HEAD / HTTP/1.1\r\n");
        echo.client().shutdown(Socket::shutdown_send);
        echo.receive_until(" 400 ");
    }
    CHECK(echo.receive_to_end().ends_with("\r\n\r\n"));
    CHECK(echo.refusals() == 1);
}

TEST_CASE("The session reports each request that it refuses, once") {
    struct Row {
        std::string_view bytes;
        int refusals;
    };
    const auto [bytes, refusals] =
        GENERATE(Row{"", 0}, Row{"\r\n", 0}, Row{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
                 Row{"GET /202 HTTP/1.1\r\nHost: a\r\n\r\nGET /503 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
                 Row{"GET /399 HTTP/1.1\r\nHost: a\r\n\r\nGET /500 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
                 Row{"GET /400 HTTP/1.1\r\nHost: a\r\n\r\nGET /499 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
                 Row{"GET /404 HTTP/1.1\r\nHost: a\r\n\r\nno HTTP\r\n", 1},
                 Row{"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/2.0\r\n", 1},
                 Row{"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n", 1},
                 Row{"GET / HT", 1});
    CAPTURE(bytes);
    Echo echo;
    echo.send(bytes);
    echo.client().shutdown(Socket::shutdown_send);
    echo.receive_to_end();
    CHECK(echo.refusals() == refusals);
}

TEST_CASE("A session ends if its client does not read the responses in time", "[waits]") {
    SessionLimits limits;
    limits.write_ms = 5000ms;
    ManualClock clock;
    Echo echo{limits, clock};
    echo.stop_reading();
    const std::string bytes = request(std::string(60'000, 'x'));
    asio::error_code would_block;
    for (int i = 0; i < 1000 && !would_block; ++i) {
        echo.client().write_some(asio::buffer(bytes), would_block);
        echo.receive_until_clock_read(clock);
    }
    // The session reads nothing while responses wait.
    REQUIRE(would_block == asio::error::would_block);
    clock.advance(limits.write_ms - 1ms);
    echo.receive_until_clock_read(clock);
    CHECK(!echo.ended());
    clock.advance(1ms);
    echo.receive_to_end();
}

TEST_CASE("A session that refused a request lingers until its timeout, and no longer") {
    SessionLimits limits;
    limits.linger_ms = 2000ms;
    ManualClock clock;
    Echo echo{limits, clock};
    echo.send("no HTTP\r\n\r\n");
    echo.receive_until(" 400 ");
    clock.advance(limits.linger_ms - 1ms);
    echo.send("more");
    echo.receive_until_clock_read(clock);
    CHECK(!echo.ended());
    clock.advance(1ms);
    echo.receive_to_end();
}

TEST_CASE("Responses that are sent together read the clock once for their dates") {
    CountingClock clock;
    Echo echo{{}, clock};
    const auto reads_for = [&](int requests) {
        std::string bytes;
        for (int i = 1; i < requests; ++i) {
            bytes += request("x");
        }
        const int before = clock.reads;
        echo.send(bytes + request("last " + std::to_string(requests)));
        echo.receive_until("last " + std::to_string(requests));
        return clock.reads - before;
    };
    reads_for(1);
    CHECK(reads_for(50) == reads_for(2));
}
