#include <netinet/tcp.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <future>
#include <list>
#include <random>
#include <thread>

#include "clients/claims/black_box.hpp"
#include "clients/faults/proxy.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/counts.hpp"
#include "clients/probe/load.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// A gate in a thread of its own, in front of the server that the options name.
class RunningGate {
public:
    explicit RunningGate(GateOptions options)
        : gate_{io_, free_port(options)}, thread_{[this] { io_.run(); }} {}

    ~RunningGate() {
        io_.stop();
        thread_.join();
    }

    RunningGate(const RunningGate&) = delete;
    RunningGate& operator=(const RunningGate&) = delete;

    std::uint16_t port() const { return gate_.port(); }

    /// The way to the server through the gate.
    Target to(Target server) const {
        server.port = port();
        return server;
    }

private:
    static const GateOptions& free_port(GateOptions& options) {
        options.listen.port = 0;
        return options;
    }

    asio::io_context io_{1};
    Gate gate_;
    std::thread thread_;
};

/// One end of a connection. Every step is bounded in time.
class Peer {
    auto note_end() {
        return [this](const asio::error_code& error, std::size_t) { error_ = error; };
    }

public:
    /// Connects.
    explicit Peer(std::uint16_t port) {
        socket_.connect({asio::ip::address_v4::loopback(), port});
        socket_.set_option(tcp::no_delay{true});
    }

    /// Accepts; the acceptor does not block.
    explicit Peer(tcp::acceptor& acceptor) {
        const auto deadline = steady_clock::now() + patience;
        do {
            acceptor.accept(socket_, error_);
        } while (error_ == asio::error::would_block && steady_clock::now() < deadline);
        REQUIRE(!error_);
        socket_.set_option(tcp::no_delay{true});
    }

    /// Checks nothing, as another thread than the test's may call it.
    void send(std::string_view bytes) {
        asio::async_write(socket_, asio::buffer(bytes), note_end());
        run();
    }

    /// What comes next, in one read; so much at most.
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

    /// All that comes up to so many bytes, or to the end.
    std::string read(std::size_t bytes_max = 1 << 30) {
        std::string bytes;
        asio::async_read(socket_, asio::dynamic_buffer(bytes, bytes_max), note_end());
        run();
        return bytes;
    }

    /// Whether the connection is reset, for who has had an end already.
    bool breaks() {
        socket_.async_wait(tcp::socket::wait_error,
                           [&](const asio::error_code& error) { error_ = error; });
        run();
        return !error_;
    }

    /// What the last step ended in; operation_aborted where it took too long.
    const asio::error_code& error() const { return error_; }

    void finish_sending() { socket_.shutdown(tcp::socket::shutdown_send); }

    void close() { socket_.close(); }

    void reset() {
        socket_.set_option(asio::socket_base::linger{true, 0});
        socket_.close();
    }

    /// Sends until nothing more is taken for a while: how many bytes that were.
    std::size_t send_until_stuck(std::size_t enough) {
        const std::string piece(64 * 1024, 'x');
        std::size_t sent = 0;
        do {
            socket_.async_write_some(asio::buffer(piece),
                                     [&](const asio::error_code& error, std::size_t bytes) {
                                         error_ = error;
                                         sent += bytes;
                                     });
            run(500ms);
        } while (!error_ && sent < enough);
        return sent;
    }

    /// In how many segments its bytes have come. The kernel tells it behind what the C library
    /// knows of tcp_info.
    std::uint32_t segments() {
        constexpr std::size_t data_segs_in = 152 / sizeof(std::uint32_t);
        std::array<std::uint32_t, 64> info{};
        socklen_t size = sizeof info;
        getsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_INFO, info.data(), &size);
        REQUIRE(size > data_segs_in * sizeof(std::uint32_t));
        return info[data_segs_in];
    }

private:
    static constexpr auto patience = 10s;

    void run(milliseconds at_most = patience) {
        io_.restart();
        io_.run_for(at_most);
        if (!io_.stopped()) {
            socket_.cancel();
            io_.run();
        }
    }

    asio::io_context io_;  // its own: two peers may be used by two threads
    tcp::socket socket_{io_};
    asio::error_code error_;
};

/// Listens on a port of its own.
struct Place {
    Place() { acceptor.non_blocking(true); }

    std::uint16_t port() const { return acceptor.local_endpoint().port(); }

    asio::io_context io;
    tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
};

/// A gate, and two that talk through it.
class Talk {
public:
    explicit Talk(GateOptions options) : gate_{to(place_.port(), options)} {}

    Peer new_client() { return Peer{gate_.port()}; }

    /// The server's end of the client that came last.
    Peer accept() { return Peer{place_.acceptor}; }

private:
    static GateOptions& to(std::uint16_t port, GateOptions& options) {
        options.server.port = port;
        return options;
    }

    Place place_;
    RunningGate gate_;

public:
    Peer client = new_client();
    Peer server = accept();
};

std::string noise(std::size_t bytes, std::uint32_t seed) {
    std::mt19937 random{seed};
    std::string noise(bytes, '\0');
    std::generate(noise.begin(), noise.end(), [&] { return static_cast<char>(random()); });
    return noise;
}

/// The verbs that change no byte. The figures are small: what they do is the same.
std::vector<GateOptions> harmless() {
    return {{.verb = Verb::pass},
            {.verb = Verb::byte_by_byte},
            {.verb = Verb::joined, .join_ms = 2ms},
            {.verb = Verb::delayed, .delay_ms = 2ms},
            {.verb = Verb::throttled, .bytes_per_second = 200'000}};
}

/// Those that do, each after a few requests.
std::vector<GateOptions> harmful() {
    return {{.verb = Verb::reset, .after_bytes = 1'000},
            {.verb = Verb::half_closed, .after_bytes = 1'000},
            {.verb = Verb::corrupted, .every_bytes = 500}};
}

}  // namespace

TEST_CASE("A verb that does no harm changes no byte and passes on both ends") {
    for (const GateOptions& options : harmless()) {
        CAPTURE(static_cast<int>(options.verb));
        Talk talk{options};
        const std::string there = noise(20'000, 1);
        const std::string back = noise(20'000, 2);
        auto sending = std::async(std::launch::async, [&] {
            talk.client.send(there);
            talk.client.finish_sending();
        });
        talk.server.send(back);
        CHECK(talk.server.read() == there);
        CHECK(talk.server.error() == asio::error::eof);
        CHECK(talk.client.read(back.size()) == back);
        sending.get();
        talk.server.send("one more");  // the other direction is still open
        talk.server.finish_sending();
        CHECK(talk.client.read() == "one more");
        CHECK(talk.client.error() == asio::error::eof);
    }
}

TEST_CASE("Byte by byte, each byte is a segment of its own") {
    Talk plain{{.verb = Verb::pass}};
    plain.client.send("12345678");
    CHECK(plain.server.read(8) == "12345678");
    CHECK(plain.server.segments() == 1);
    Talk talk{{.verb = Verb::byte_by_byte}};
    for (int i = 0; i < 4; ++i) {  // from here on the kernel answers before it acknowledges
        talk.client.send("?");
        CHECK(talk.server.read(1) == "?");
        talk.server.send("yes, I am");
        CHECK(talk.client.read(9) == "yes, I am");
    }
    CHECK(talk.client.segments() == 4);
    talk.client.send("12345678");  // fewer than TCP may send before it hears of their arrival
    CHECK(talk.server.read(8) == "12345678");
    CHECK(talk.server.segments() == 4 + 8);
}

TEST_CASE("Joined, small writes become one") {
    Talk talk{{.verb = Verb::joined, .join_ms = 300ms}};
    for (const char* const piece : {"1", "23", "456", "78"}) {
        std::this_thread::sleep_for(5ms);  // so that they come as several
        talk.client.send(piece);
    }
    CHECK(talk.server.read_some(100) == "12345678");
    CHECK(talk.server.segments() == 1);
    talk.client.send("9");  // they do not wait for each other for ever
    talk.client.finish_sending();
    CHECK(talk.server.read() == "9");
}

TEST_CASE("Delayed, every byte takes at least that long, and none waits for another one's delay") {
    constexpr auto delay = 300ms;
    constexpr std::size_t pieces = 12;
    Talk talk{{.verb = Verb::delayed, .delay_ms = delay}};
    const bool there = GENERATE(true, false);
    Peer& from = there ? talk.client : talk.server;
    Peer& to = there ? talk.server : talk.client;
    const auto start = steady_clock::now();
    std::array<steady_clock::time_point, pieces> sent;
    auto sending = std::async(std::launch::async, [&] {
        for (std::size_t i = 0; i < pieces; ++i) {
            std::this_thread::sleep_for(5ms);  // so that they come as several
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
    CHECK(steady_clock::now() - start < pieces * delay);  // as it is one behind the other
    CHECK(to.read() == "");
    CHECK(to.error() == asio::error::eof);
    CHECK(steady_clock::now() - sent.back() >= delay);
}

TEST_CASE("Throttled, bytes take as long as they do at that rate, in pieces, either way") {
    Talk talk{{.verb = Verb::throttled, .bytes_per_second = 2'000}};
    for (const bool there : {true, false}) {
        Peer& from = there ? talk.client : talk.server;
        Peer& to = there ? talk.server : talk.client;
        const auto start = steady_clock::now();
        from.send(std::string(500, 'x'));
        CHECK(to.read(500) == std::string(500, 'x'));
        CHECK(steady_clock::now() - start >= 250ms);
        CHECK(to.segments() >= 10);
    }
}

TEST_CASE("The gate resets both sides behind so many bytes, and not before") {
    Talk talk{{.verb = Verb::reset, .after_bytes = 100}};
    talk.client.send(std::string(60, 'a'));
    CHECK(talk.server.read(60) == std::string(60, 'a'));
    talk.server.send("an answer");
    CHECK(talk.client.read(9) == "an answer");
    talk.client.send(std::string(60, 'b'));
    CHECK(talk.server.read() == std::string(40, 'b'));
    CHECK(talk.server.error() == asio::error::connection_reset);
    CHECK(talk.client.read() == "");
    CHECK(talk.client.error() == asio::error::connection_reset);
    Peer next = talk.new_client();
    Peer its_server = talk.accept();
    next.send(std::string(60, 'c'));  // counted anew
    CHECK(its_server.read(60) == std::string(60, 'c'));
}

TEST_CASE("Half-closed, the server gets so many bytes and an end, and the client its answer") {
    Talk talk{{.verb = Verb::half_closed, .after_bytes = 100}};
    talk.client.send(std::string(60, 'a'));
    talk.client.send(std::string(60, 'b'));
    CHECK(talk.server.read() == std::string(60, 'a') + std::string(40, 'b'));
    CHECK(talk.server.error() == asio::error::eof);
    talk.server.send("an answer");
    CHECK(talk.client.read(9) == "an answer");
    talk.client.send(std::string(32'000'000, 'c'));  // goes nowhere, and holds nobody up
    CHECK(!talk.client.error());
    talk.server.send("another one");
    CHECK(talk.client.read(11) == "another one");
    SECTION("until the server closes") {
        talk.server.finish_sending();
        CHECK(talk.client.read() == "");
        CHECK(talk.client.error() == asio::error::eof);
    }
    SECTION("until the client has vanished") {
        talk.client.reset();
        CHECK(talk.server.breaks());
    }
}

TEST_CASE("Corrupted, one byte in so many is changed, and the seed says which and how") {
    constexpr std::size_t every = 100;
    constexpr std::size_t bytes = 10'050;
    const std::string zeros(bytes, '\0');
    const auto passed = [&](Peer& client, Peer& server, std::size_t piece) {
        for (std::size_t at = 0; at < bytes; at += piece) {
            client.send(zeros.substr(at, piece));
        }
        return server.read(bytes);
    };
    const GateOptions options{.verb = Verb::corrupted, .every_bytes = every, .seed = 7};
    Talk talk{options};
    const std::string first = passed(talk.client, talk.server, bytes);
    REQUIRE(first.size() == bytes);
    for (std::size_t at = 0; at + every <= bytes; at += every) {
        const std::string piece = first.substr(at, every);
        CHECK(std::count(piece.begin(), piece.end(), '\0') == every - 1);
    }
    talk.server.send(zeros);
    CHECK(talk.client.read(bytes) == zeros);
    Peer next = talk.new_client();
    Peer its_server = talk.accept();
    const std::string second = passed(next, its_server, bytes);
    CHECK(second != first);

    Talk same{options};
    CHECK(passed(same.client, same.server, 77) == first);  // in other pieces
    Talk other{{.verb = Verb::corrupted, .every_bytes = every, .seed = 8}};
    CHECK(passed(other.client, other.server, bytes) == second);  // as the seeds count on
}

TEST_CASE("A reset is passed on, and what came before it arrives before it") {
    for (const GateOptions& options : harmless()) {
        CAPTURE(static_cast<int>(options.verb));
        Talk talk{options};
        talk.client.send("half a request");  // so the gate knows that it has connected
        CHECK(talk.server.read(14) == "half a request");
        SECTION("the client's") {
            talk.client.reset();
            CHECK(talk.server.read() == "");
            CHECK(talk.server.error() == asio::error::connection_reset);
        }
        SECTION("the server's") {
            talk.server.send("half an answer");
            talk.server.reset();
            CHECK(talk.client.read() == "half an answer");
            CHECK(talk.client.error() == asio::error::connection_reset);
        }
    }
}

TEST_CASE("Who takes nothing is not read for, and gets all in the end", "[waits]") {
    constexpr std::size_t enough = 128 * 1024 * 1024;
    const bool there = GENERATE(true, false);
    Talk talk{{.verb = there ? Verb::pass : Verb::delayed, .delay_ms = 1ms}};
    Peer& from = there ? talk.client : talk.server;
    Peer& to = there ? talk.server : talk.client;
    const std::size_t sent = from.send_until_stuck(enough);
    CHECK(sent < enough / 4);  // the kernel holds some megabytes of it, at both ends
    from.finish_sending();
    CHECK(to.read().size() == sent);
    CHECK(to.error() == asio::error::eof);
}

TEST_CASE("Who has left is not read for, and who sends to nobody gets to know") {
    constexpr std::size_t enough = 64 * 1024 * 1024;
    Talk talk{{.verb = Verb::pass}};
    talk.client.close();
    CHECK(talk.server.read() == "");
    CHECK(talk.server.error() == asio::error::eof);
    CHECK(talk.server.send_until_stuck(enough) < enough);
    CHECK((talk.server.error() == asio::error::connection_reset ||
           talk.server.error() == asio::error::broken_pipe));
}

TEST_CASE(
    "Where there is no server, a client is reset, and the next one finds it when it is back") {
    Place place;
    const tcp::endpoint there = place.acceptor.local_endpoint();
    place.acceptor.close();
    const RunningGate gate{{.server = {.port = there.port()}}};
    for (int i = 0; i < 2; ++i) {
        Peer client{gate.port()};
        CHECK(client.read() == "");
        CHECK(client.error() == asio::error::connection_reset);
    }
    place.acceptor.open(there.protocol());
    place.acceptor.set_option(tcp::acceptor::reuse_address{true});
    place.acceptor.bind(there);
    place.acceptor.listen();
    place.acceptor.non_blocking(true);
    Peer client{gate.port()};
    Peer server{place.acceptor};
    client.send("hello");
    CHECK(server.read(5) == "hello");
}

TEST_CASE("Out of descriptors, the gate lets the next clients wait until others have left",
          "[waits]") {
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
    std::size_t answered = 0;
    for (; !clients.empty(); clients.pop_front()) {
        answered += clients.front().receive() ? 1 : 0;
    }
    CHECK(answered == 20);
}

TEST_CASE("What the gate is told wrongly ends in one sentence") {
    const std::string gate = program("gate");
    CHECK(output_of({gate, "fly"}) ==
          "gate: there is no verb 'fly', but: pass, byte-by-byte, joined, delayed, throttled, "
          "reset, half-closed, corrupted\nexit 2\n");
    CHECK(output_of({gate, ""}).starts_with("gate: there is no verb '', but: pass, "));
    CHECK(output_of({gate, "pass --server here"}) ==
          "gate: --server: 'here' is not HOST:PORT, such as 127.0.0.1:8080\nexit 2\n");
    CHECK(output_of({gate, "pass --bytes-per-second 0"}).ends_with("\nexit 2\n"));
    CHECK(output_of({gate, "pass --prot"}) == "gate: unknown flag '--prot' (see --help)\nexit 2\n");
    const ServerProcess first{{gate, "pass --port 0"}};
    CHECK(output_of({gate, fmt::format("pass --port {}", first.target().port)}) ==
          fmt::format("gate: 127.0.0.1:{} is in use: end the server that has it, or choose another "
                      "--port\nexit 2\n",
                      first.target().port));
    CHECK(output_of({gate, "--help"}).ends_with("\nexit 0\n"));
}

// ---- in front of the servers ------------------------------------------------------------------

namespace {

/// Ends it in good order, and has its account.
Counts end(ServerProcess& server) {
    kill(server.process().pid(), SIGTERM);
    CHECK(server.process().wait_for_end(15s));
    const auto counts = last_words(server.process());
    CHECK(server.process().exit_status() == 0);
    REQUIRE(counts);
    CHECK(counts->pending == 0);
    CHECK(counts->add_up());
    return *counts;
}

Command quick_server(std::size_t stage) {
    return server_command(course_servers.at(stage - 1).name, stage >= 7 ? "--work-ms 1 --hold-ms 0"
                                                             : stage >= 4 ? "--work-ms 1"
                                                                          : "");
}

}  // namespace

TEST_CASE("A load through a verb that does no harm is answered to the last request") {
    for (std::size_t stage = 3; stage <= last_stage; ++stage) {
        CAPTURE(stage);
        ServerProcess server{quick_server(stage)};
        std::uint64_t accepted = 0;
        std::uint64_t rejected = 0;
        for (GateOptions options : harmless()) {
            CAPTURE(static_cast<int>(options.verb));
            options.server = server.target();
            const RunningGate gate{options};
            for (const bool keep_alive : {true, false}) {
                CAPTURE(keep_alive);
                const LoadOptions load{.requests = 80, .concurrency = 10, .keep_alive = keep_alive};
                const LoadReport report = run_load(gate.to(server.target()), load);
                INFO(to_text(report));
                CHECK(report.errors_in_all() == 0);
                CHECK(report.accepted + report.rejected == load.requests);
                accepted += report.accepted;
                rejected += report.rejected;
            }
        }
        if (stage == 10) {
            const Counts counts = end(server);
            CHECK(counts.received == accepted + rejected);
            CHECK(counts.processed == accepted);
            CHECK(counts.dropped == rejected);
        }
    }
}

TEST_CASE("A network that does harm takes no accepted job, and lets no other client wait") {
    constexpr auto promptly = 2s;  // a fiftieth of it will do, but the machine may have other work
    for (GateOptions options : harmful()) {
        CAPTURE(static_cast<int>(options.verb));
        ServerProcess server{server_command("stage10_shutdown",
                                            "--work-ms 20 --hold-ms 0 --workers 4 --head-ms 500")};
        options.server = server.target();
        const RunningGate gate{options};
        auto load = std::async(std::launch::async, [&] {
            return run_load(gate.to(server.target()), {.requests = 600,
                                                       .concurrency = 20,
                                                       .keep_alive = true,
                                                       .rate = 1'000,
                                                       .timeout_ms = 1s});
        });
        std::uint64_t accepted = 0;
        std::uint64_t answered = 0;
        do {
            Connection beside{server.target()};
            beside.send(post(event_body(0)), promptly);
            const auto response = beside.receive(promptly);
            REQUIRE(response);
            accepted += response->status == 202 ? 1 : 0;
            ++answered;
        } while (load.wait_for(10ms) != std::future_status::ready);
        const LoadReport report = load.get();
        INFO(to_text(report));
        CHECK(report.accepted > 0);
        CHECK(report.errors_in_all() + report.sent_again > 0);  // or it did no harm
        const Counts counts = end(server);
        CHECK(counts.processed >= accepted + report.accepted);
        CHECK(counts.received >= answered + report.accepted + report.rejected);
    }
}

TEST_CASE("What is true of stage 10 is true through a gate that does no harm") {
    if (sanitized) {
        return;  // all that runs here has run by now, and a byte at a time takes its time
    }
    const auto try_through = [](GateOptions options, const Claim& claim) {
        ServerProcess server{course_command(10, "stage10_shutdown")};
        options.server = server.target();
        const RunningGate gate{options};
        Finding finding = claim.experiment(gate.to(server.target()));
        return Trial{&claim, std::move(finding), server.process().ended()};
    };
    const auto try_all = [&](const GateOptions& options) {
        std::vector<Trial> trials;
        for (const Claim& claim : all_claims()) {
            // A byte at a time, 13 MB of noise take half a minute.
            const bool too_much = options.verb == Verb::byte_by_byte &&
                                  (claim.name == "noise" || claim.name == "deep-json");
            if (!claim.traits.alone && !too_much) {
                trials.push_back(try_through(options, claim));
            }
        }
        return trials;
    };
    const GateOptions joined{.verb = Verb::joined};
    const GateOptions byte_by_byte{.verb = Verb::byte_by_byte};
    auto others = std::async(std::launch::async, try_all, joined);
    std::array<std::pair<GateOptions, std::vector<Trial>>, 2> all{
        {{byte_by_byte, try_all(byte_by_byte)}, {joined, others.get()}}};
    for (auto& [options, trials] : all) {
        for (Trial& trial : trials) {
            // Beside others an answer may come too late: once more, alone.
            trial = trial.as_taught(10) ? trial : try_through(options, *trial.claim);
        }
        check_trials(trials, 10);
    }
}
