#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <functional>
#include <future>
#include <list>
#include <random>
#include <thread>

#include "clients/claims/black_box.hpp"
#include "clients/faults/fault_proxy.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/counts.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// A fault proxy that runs in its own thread on a free port.
class RunningProxy {
public:
    explicit RunningProxy(FaultProxyOptions options)
        : proxy_{io_, on_free_port(options)}, thread_{[this] { io_.run(); }} {}

    ~RunningProxy() {
        io_.stop();
        thread_.join();
    }

    RunningProxy(const RunningProxy&) = delete;
    RunningProxy& operator=(const RunningProxy&) = delete;

    std::uint16_t port() const { return proxy_.port(); }

    /// The same server, reached through the proxy.
    Target to(Target server) const {
        server.port = port();
        return server;
    }

private:
    static const FaultProxyOptions& on_free_port(FaultProxyOptions& options) {
        options.listen.port = 0;
        return options;
    }

    asio::io_context io_{1};
    FaultProxy proxy_;
    std::thread thread_;
};

/// One end of a connection. Each operation ends within ten seconds.
class TestSocket {
public:
    /// Connects to 127.0.0.1.
    explicit TestSocket(std::uint16_t port) {
        socket_.connect({asio::ip::address_v4::loopback(), port});
        socket_.set_option(tcp::no_delay{true});
    }

    /// Accepts the next connection.
    explicit TestSocket(tcp::acceptor& acceptor) {
        pollfd client{.fd = acceptor.native_handle(), .events = POLLIN, .revents = 0};
        REQUIRE(poll(&client, 1, static_cast<int>(milliseconds{timeout}.count())) == 1);
        acceptor.accept(socket_);
        socket_.set_option(tcp::no_delay{true});
    }

    /// Makes no Catch2 check, so that any thread may call it.
    void send(std::string_view bytes) {
        asio::async_write(socket_, asio::buffer(bytes), store_error());
        run();
    }

    /// Returns the bytes of one read, at most `bytes_max`.
    std::string read_some(std::size_t bytes_max) {
        std::string bytes(bytes_max, '\0');
        std::size_t size = 0;
        socket_.async_read_some(asio::buffer(bytes),
                                [&](const asio::error_code& error, std::size_t read) {
                                    error_ = error;
                                    size = read;
                                });
        run();
        bytes.resize(size);
        return bytes;
    }

    /// Reads `bytes_max` bytes, or fewer if the stream ends first.
    std::string read(std::size_t bytes_max = 1 << 30) {
        std::string bytes;
        asio::async_read(socket_, asio::dynamic_buffer(bytes, bytes_max), store_error());
        run();
        return bytes;
    }

    /// Waits for a reset after the end of the stream; false if none arrives.
    bool is_reset() {
        socket_.async_wait(tcp::socket::wait_error,
                           [&](const asio::error_code& error) { error_ = error; });
        run();
        return !error_;
    }

    /// The result of the last operation; operation_aborted if it timed out.
    const asio::error_code& error() const { return error_; }

    void finish_sending() { socket_.shutdown(tcp::socket::shutdown_send); }

    void close() { socket_.close(); }

    void reset() {
        socket_.set_option(asio::socket_base::linger{true, 0});
        socket_.close();
    }

    /// Sends until the socket has accepted no byte for half a second, or `bytes_max` are sent.
    /// Returns the number of bytes sent.
    std::size_t send_until_blocked(std::size_t bytes_max) {
        const std::string piece(64 * 1024, 'x');
        std::size_t sent = 0;
        do {
            socket_.async_write_some(asio::buffer(piece),
                                     [&](const asio::error_code& error, std::size_t bytes) {
                                         error_ = error;
                                         sent += bytes;
                                     });
            run(500ms);
        } while (!error_ && sent < bytes_max);
        return sent;
    }

    /// The number of segments with data that have arrived. The C library's tcp_info lacks this
    /// field, which the kernel has.
    std::uint32_t segments() {
        constexpr std::size_t data_segs_in = 152 / sizeof(std::uint32_t);
        std::array<std::uint32_t, 64> info{};
        socklen_t size = sizeof info;
        getsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_INFO, info.data(), &size);
        REQUIRE(size > data_segs_in * sizeof(std::uint32_t));
        return info[data_segs_in];
    }

private:
    static constexpr auto timeout = 10s;

    std::function<void(const asio::error_code&, std::size_t)> store_error() {
        return [this](const asio::error_code& error, std::size_t) { error_ = error; };
    }

    void run(milliseconds at_most = timeout) {
        io_.restart();
        io_.run_for(at_most);
        if (!io_.stopped()) {
            socket_.cancel();
            io_.run();
        }
    }

    asio::io_context io_;  // not shared: two threads may use two sockets
    tcp::socket socket_{io_};
    asio::error_code error_;
};

/// A client's socket and a server's socket, connected through a fault proxy.
class ProxiedConnection {
public:
    explicit ProxiedConnection(FaultProxyOptions options)
        : proxy_{to(acceptor_.local_endpoint().port(), options)} {}

    TestSocket new_client() { return TestSocket{proxy_.port()}; }

    /// The server's end of the newest client's connection.
    TestSocket accept() { return TestSocket{acceptor_}; }

private:
    static FaultProxyOptions& to(std::uint16_t port, FaultProxyOptions& options) {
        options.server.port = port;
        return options;
    }

    asio::io_context io_;
    tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    RunningProxy proxy_;

public:
    TestSocket client = new_client();
    TestSocket server = accept();
};

std::string random_bytes(std::size_t count, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::string bytes(count, '\0');
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
    return bytes;
}

/// The faults that change no byte, with small delays to keep the tests short.
std::vector<FaultProxyOptions> harmless() {
    return {{.fault = Fault::pass},
            {.fault = Fault::split},
            {.fault = Fault::join, .join_ms = 2ms},
            {.fault = Fault::delay, .delay_ms = 2ms},
            {.fault = Fault::throttle, .bytes_per_second = 200'000}};
}

/// The faults that change or cut off requests, each after a few requests.
std::vector<FaultProxyOptions> harmful() {
    return {{.fault = Fault::reset, .after_bytes = 1'000},
            {.fault = Fault::half_close, .after_bytes = 1'000},
            {.fault = Fault::corrupt, .every_bytes = 500}};
}

}  // namespace

TEST_CASE("A harmless fault changes no byte and forwards both ends of stream") {
    for (const FaultProxyOptions& options : harmless()) {
        CAPTURE(static_cast<int>(options.fault));
        ProxiedConnection connection{options};
        const std::string request = random_bytes(20'000, 1);
        const std::string response = random_bytes(20'000, 2);
        auto sending = std::async(std::launch::async, [&] {
            connection.client.send(request);
            connection.client.finish_sending();
        });
        connection.server.send(response);
        CHECK(connection.server.read() == request);
        CHECK(connection.server.error() == asio::error::eof);
        CHECK(connection.client.read(response.size()) == response);
        sending.get();
        connection.server.send("one more");  // the other direction is still open
        connection.server.finish_sending();
        CHECK(connection.client.read() == "one more");
        CHECK(connection.client.error() == asio::error::eof);
    }
}

TEST_CASE("split sends each request byte in its own segment") {
    ProxiedConnection plain{{.fault = Fault::pass}};
    plain.client.send("12345678");
    CHECK(plain.server.read(8) == "12345678");
    CHECK(plain.server.segments() == 1);
    ProxiedConnection connection{{.fault = Fault::split}};
    for (int i = 0; i < 4; ++i) {  // makes the kernel delay acknowledgements
        connection.client.send("?");
        CHECK(connection.server.read(1) == "?");
        connection.server.send("yes, I am");
        CHECK(connection.client.read(9) == "yes, I am");
    }
    CHECK(connection.client.segments() == 4);
    connection.client.send("12345678");  // fits the initial congestion window
    CHECK(connection.server.read(8) == "12345678");
    CHECK(connection.server.segments() == 4 + 8);
}

TEST_CASE("join turns small writes into one") {
    ProxiedConnection connection{{.fault = Fault::join, .join_ms = 300ms}};
    for (const char* const piece : {"1", "23", "456", "78"}) {
        std::this_thread::sleep_for(5ms);  // so that each is a separate segment
        connection.client.send(piece);
    }
    CHECK(connection.server.read_some(100) == "12345678");
    CHECK(connection.server.segments() == 1);
    connection.client.send("9");  // a single byte is forwarded as well
    connection.client.finish_sending();
    CHECK(connection.server.read() == "9");
}

TEST_CASE("delay holds back each byte that long, and delays overlap") {
    constexpr auto delay = 300ms;
    constexpr std::size_t pieces = 12;
    ProxiedConnection connection{{.fault = Fault::delay, .delay_ms = delay}};
    const bool to_server = GENERATE(true, false);
    TestSocket& from = to_server ? connection.client : connection.server;
    TestSocket& to = to_server ? connection.server : connection.client;
    const auto start = steady_clock::now();
    std::array<steady_clock::time_point, pieces> sent;
    auto sending = std::async(std::launch::async, [&] {
        for (std::size_t i = 0; i < pieces; ++i) {
            std::this_thread::sleep_for(5ms);  // so that each is a separate segment
            sent[i] = steady_clock::now();
            from.send(std::string(1, static_cast<char>('a' + i)));
        }
        from.finish_sending();
    });
    std::array<steady_clock::time_point, pieces> received;
    for (std::size_t i = 0; i < pieces; ++i) {
        CHECK(to.read_some(1) == std::string(1, static_cast<char>('a' + i)));
        received[i] = steady_clock::now();
    }
    sending.get();
    for (std::size_t i = 0; i < pieces; ++i) {
        CHECK(received[i] - sent[i] >= delay);
    }
    CHECK(steady_clock::now() - start < pieces * delay);  // less than the sum of the delays
    CHECK(to.read() == "");
    CHECK(to.error() == asio::error::eof);
    CHECK(steady_clock::now() - sent.back() >= delay);
}

TEST_CASE("throttle keeps to its rate in both directions, and forwards in small pieces") {
    ProxiedConnection connection{{.fault = Fault::throttle, .bytes_per_second = 2'000}};
    for (const bool to_server : {true, false}) {
        TestSocket& from = to_server ? connection.client : connection.server;
        TestSocket& to = to_server ? connection.server : connection.client;
        const auto start = steady_clock::now();
        from.send(std::string(500, 'x'));
        CHECK(to.read(500) == std::string(500, 'x'));
        CHECK(steady_clock::now() - start >= 250ms);
        CHECK(to.segments() >= 10);
    }
}

TEST_CASE("reset resets both connections after the given number of bytes, and not before") {
    ProxiedConnection connection{{.fault = Fault::reset, .after_bytes = 100}};
    connection.client.send(std::string(60, 'a'));
    CHECK(connection.server.read(60) == std::string(60, 'a'));
    connection.server.send("a response");
    CHECK(connection.client.read(10) == "a response");
    connection.client.send(std::string(60, 'b'));
    CHECK(connection.server.read() == std::string(40, 'b'));
    CHECK(connection.server.error() == asio::error::connection_reset);
    CHECK(connection.client.read() == "");
    CHECK(connection.client.error() == asio::error::connection_reset);
    TestSocket next_client = connection.new_client();
    TestSocket next_server = connection.accept();
    next_client.send(std::string(60, 'c'));  // each connection has its own count
    CHECK(next_server.read(60) == std::string(60, 'c'));
}

TEST_CASE("half-close ends the request stream after the given bytes; responses still pass") {
    ProxiedConnection connection{{.fault = Fault::half_close, .after_bytes = 100}};
    connection.client.send(std::string(60, 'a'));
    connection.client.send(std::string(60, 'b'));
    CHECK(connection.server.read() == std::string(60, 'a') + std::string(40, 'b'));
    CHECK(connection.server.error() == asio::error::eof);
    connection.server.send("a response");
    CHECK(connection.client.read(10) == "a response");
    connection.client.send(std::string(32'000'000, 'c'));  // is read and discarded
    CHECK(!connection.client.error());
    connection.server.send("another one");
    CHECK(connection.client.read(11) == "another one");
    SECTION("until the server closes") {
        connection.server.finish_sending();
        CHECK(connection.client.read() == "");
        CHECK(connection.client.error() == asio::error::eof);
    }
    SECTION("until the client resets") {
        connection.client.reset();
        CHECK(connection.server.is_reset());
    }
}

TEST_CASE("corrupt changes one byte in each block, and the seed chooses byte and value") {
    constexpr std::size_t every = 100;
    constexpr std::size_t bytes = 10'050;
    const std::string zeros(bytes, '\0');
    const auto forward = [&](TestSocket& client, TestSocket& server, std::size_t piece) {
        for (std::size_t at = 0; at < bytes; at += piece) {
            client.send(zeros.substr(at, piece));
        }
        return server.read(bytes);
    };
    const FaultProxyOptions options{.fault = Fault::corrupt, .every_bytes = every, .seed = 7};
    ProxiedConnection connection{options};
    const std::string first = forward(connection.client, connection.server, bytes);
    REQUIRE(first.size() == bytes);
    for (std::size_t at = 0; at + every <= bytes; at += every) {
        const std::string piece = first.substr(at, every);
        CHECK(std::count(piece.begin(), piece.end(), '\0') == every - 1);
    }
    connection.server.send(zeros);
    CHECK(connection.client.read(bytes) == zeros);
    TestSocket next_client = connection.new_client();
    TestSocket next_server = connection.accept();
    const std::string second = forward(next_client, next_server, bytes);
    CHECK(second != first);

    ProxiedConnection same{options};
    CHECK(forward(same.client, same.server, 77) == first);  // however the bytes are divided
    ProxiedConnection other{{.fault = Fault::corrupt, .every_bytes = every, .seed = 8}};
    CHECK(forward(other.client, other.server, bytes) ==
          second);  // its first seed is the second one above
}

TEST_CASE("A reset is forwarded after the bytes that preceded it") {
    for (const FaultProxyOptions& options : harmless()) {
        CAPTURE(static_cast<int>(options.fault));
        ProxiedConnection connection{options};
        connection.client.send("half a request");  // so the proxy has connected
        CHECK(connection.server.read(14) == "half a request");
        SECTION("the client resets") {
            connection.client.reset();
            CHECK(connection.server.read() == "");
            CHECK(connection.server.error() == asio::error::connection_reset);
        }
        SECTION("the server resets") {
            connection.server.send("half a response");
            connection.server.reset();
            CHECK(connection.client.read() == "half a response");
            CHECK(connection.client.error() == asio::error::connection_reset);
        }
    }
}

TEST_CASE("If one side does not read, the proxy stops reading, and loses no byte", "[waits]") {
    constexpr std::size_t bytes_max = 128 * 1024 * 1024;
    const bool to_server = GENERATE(true, false);
    ProxiedConnection connection{
        {.fault = to_server ? Fault::pass : Fault::delay, .delay_ms = 1ms}};
    TestSocket& from = to_server ? connection.client : connection.server;
    TestSocket& to = to_server ? connection.server : connection.client;
    const std::size_t sent = from.send_until_blocked(bytes_max);
    CHECK(sent < bytes_max / 4);  // the kernel buffers some megabytes at both ends
    from.finish_sending();
    CHECK(to.read().size() == sent);
    CHECK(to.error() == asio::error::eof);
}

TEST_CASE("If one side has closed, a sender on the other side gets an error") {
    constexpr std::size_t bytes_max = 64 * 1024 * 1024;
    ProxiedConnection connection{{.fault = Fault::pass}};
    connection.client.close();
    CHECK(connection.server.read() == "");
    CHECK(connection.server.error() == asio::error::eof);
    CHECK(connection.server.send_until_blocked(bytes_max) < bytes_max);
    CHECK((connection.server.error() == asio::error::connection_reset ||
           connection.server.error() == asio::error::broken_pipe));
}

TEST_CASE("Without a server, clients are reset; once it listens again, the next client connects") {
    asio::io_context io;
    tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
    const tcp::endpoint server_address = acceptor.local_endpoint();
    acceptor.close();
    const RunningProxy proxy{{.server = {.port = server_address.port()}}};
    for (int i = 0; i < 2; ++i) {
        TestSocket client{proxy.port()};
        CHECK(client.read() == "");
        CHECK(client.error() == asio::error::connection_reset);
    }
    acceptor.open(server_address.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address{true});
    acceptor.bind(server_address);
    acceptor.listen();
    TestSocket client{proxy.port()};
    TestSocket server{acceptor};
    client.send("hello");
    CHECK(server.read(5) == "hello");
}

TEST_CASE("Without descriptors, the gate pauses accepting until clients have left", "[waits]") {
    ServerProcess server{server_command("stage03_validation")};
    ServerProcess gate{Command{program("gate"), "pass --port 0 --server " + server.target().name()}
                           .run_by({"prlimit", fmt::format("--nofile={}", GENERATE(20, 21))})
                           .with(Output::kept_with_errors)};
    std::list<Connection> clients;
    while (clients.size() < 20) {
        clients.emplace_back(gate.target()).send(post(event_body(0)));
    }
    CHECK(gate.process().wait_for_output(
        "gate: accept paused: Too many open files; retrying every 100 ms\n"));
    std::size_t responses = 0;
    for (; !clients.empty(); clients.pop_front()) {
        responses += clients.front().receive() ? 1 : 0;
    }
    CHECK(responses == 20);
}

TEST_CASE("The gate reports a wrong argument in one sentence") {
    const std::string gate = program("gate");
    CHECK(output_of({gate, "fly"}) ==
          "gate: unknown fault 'fly'; choose one of: pass, split, join, delay, throttle, reset, "
          "half-close, corrupt\nexit 2\n");
    CHECK(output_of({gate, ""}).starts_with("gate: unknown fault ''; choose one of: pass, "));
    CHECK(output_of({gate, "pass --server here"}) ==
          "gate: --server: 'here' is not HOST:PORT, such as 127.0.0.1:8080\nexit 2\n");
    CHECK(output_of({gate, "pass --bytes-per-second 0"}).ends_with("\nexit 2\n"));
    CHECK(output_of({gate, "pass --prot"}) == "gate: unknown flag '--prot' (see --help)\nexit 2\n");
    const ServerProcess first{{gate, "pass --port 0"}};
    CHECK(output_of({gate, fmt::format("pass --port {}", first.target().port)})
              .starts_with(fmt::format("gate: 127.0.0.1:{} is in use: ", first.target().port)));
    CHECK(output_of({gate, "--help"}).ends_with("\nexit 0\n"));
}

// ---- with the servers of the course -----------------------------------------------------------

namespace {

/// Shuts the server down gracefully, and returns its final counts.
Counts shut_down(ServerProcess& server) {
    kill(server.process().pid(), SIGTERM);
    CHECK(server.process().wait_for_end(15s));
    const auto counts = final_counts(server.process());
    CHECK(server.process().exit_status() == 0);
    REQUIRE(counts);
    CHECK(counts->pending == 0);
    CHECK(counts->add_up());
    return *counts;
}

Command fast_server(std::size_t stage) {
    return server_command(course_servers.at(stage - 1).name, stage >= 7 ? "--work-ms 1 --hold-ms 0"
                                                             : stage >= 4 ? "--work-ms 1"
                                                                          : "");
}

}  // namespace

TEST_CASE("Every request of a load through a harmless fault gets a response") {
    for (std::size_t stage = 3; stage <= last_stage; ++stage) {
        CAPTURE(stage);
        ServerProcess server{fast_server(stage)};
        std::uint64_t accepted = 0;
        std::uint64_t rejected = 0;
        for (FaultProxyOptions options : harmless()) {
            CAPTURE(static_cast<int>(options.fault));
            options.server = server.target();
            const RunningProxy proxy{options};
            for (const bool keep_alive : {true, false}) {
                CAPTURE(keep_alive);
                const LoadOptions load{.requests = 80, .concurrency = 10, .keep_alive = keep_alive};
                const LoadReport report = run_load(proxy.to(server.target()), load);
                INFO(to_text(report));
                CHECK(report.errors_in_all() == 0);
                CHECK(report.accepted + report.rejected == load.requests);
                accepted += report.accepted;
                rejected += report.rejected;
            }
        }
        if (stage == 10) {
            const Counts counts = shut_down(server);
            CHECK(counts.received == accepted + rejected);
            CHECK(counts.processed == accepted);
            CHECK(counts.dropped == rejected);
        }
    }
}

TEST_CASE("A harmful fault loses no accepted job, and delays no other client") {
    constexpr auto timeout = 2s;  // 40 ms suffice on an idle machine
    for (FaultProxyOptions options : harmful()) {
        CAPTURE(static_cast<int>(options.fault));
        ServerProcess server{server_command("stage10_shutdown",
                                            "--work-ms 20 --hold-ms 0 --workers 4 --head-ms 500")};
        options.server = server.target();
        const RunningProxy proxy{options};
        auto load = std::async(std::launch::async, [&] {
            return run_load(proxy.to(server.target()), {.requests = 600,
                                                        .concurrency = 20,
                                                        .keep_alive = true,
                                                        .rate = 1'000,
                                                        .timeout_ms = 1s});
        });
        std::uint64_t accepted = 0;
        std::uint64_t direct_responses = 0;
        do {
            Connection direct{server.target()};
            direct.send(post(event_body(0)), timeout);
            const auto response = direct.receive(timeout);
            REQUIRE(response);
            accepted += response->status == 202 ? 1 : 0;
            ++direct_responses;
        } while (load.wait_for(10ms) != std::future_status::ready);
        const LoadReport report = load.get();
        INFO(to_text(report));
        CHECK(report.accepted > 0);
        CHECK(report.errors_in_all() + report.sent_again > 0);  // the fault took effect
        const Counts counts = shut_down(server);
        CHECK(counts.processed >= accepted + report.accepted);
        CHECK(counts.received >= direct_responses + report.accepted + report.rejected);
    }
}

TEST_CASE("Each claim of stage 10 also holds through a harmless fault") {
    if (sanitized) {
        return;  // too slow, and other tests run the same code
    }
    const auto try_through = [](FaultProxyOptions options, const Claim& claim) {
        ServerProcess server{course_command(10, "stage10_shutdown")};
        options.server = server.target();
        const RunningProxy proxy{options};
        Finding finding = claim.experiment(proxy.to(server.target()));
        return Trial{&claim, std::move(finding), server.process().ended()};
    };
    const auto try_all = [&](const FaultProxyOptions& options) {
        std::vector<Trial> trials;
        for (const Claim& claim : all_claims()) {
            // Split into bytes, 13 MB of noise take half a minute.
            const bool too_slow = options.fault == Fault::split &&
                                  (claim.name == "random-bytes" || claim.name == "deep-json");
            if (!claim.traits.exclusive && !too_slow) {
                trials.push_back(try_through(options, claim));
            }
        }
        return trials;
    };
    const FaultProxyOptions join{.fault = Fault::join};
    const FaultProxyOptions split{.fault = Fault::split};
    auto joined = std::async(std::launch::async, try_all, join);
    std::array<std::pair<FaultProxyOptions, std::vector<Trial>>, 2> all{
        {{split, try_all(split)}, {join, joined.get()}}};
    for (auto& [options, trials] : all) {
        for (Trial& trial : trials) {
            // Two run at once, so a response may be late: try once more, alone.
            trial = trial.as_expected(10) ? trial : try_through(options, *trial.claim);
        }
        check_trials(trials, 10);
    }
}
