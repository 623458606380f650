#include "clients/faults/attacks.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <list>
#include <stdexcept>
#include <thread>
#include <vector>

#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/load.hpp"
#include "clients/probe/process.hpp"
#include "clients/probe/silent_connections.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Keeps attacks short that last until the server's timeouts.
constexpr std::string_view short_timeouts =
    "--idle-ms 3000 --head-ms 3000 --body-ms 3000 --write-ms 3000";

ServerProcess start(const std::string& server, std::string_view flags,
                    const std::vector<std::string>& words_before = {}) {
    return ServerProcess{server_command(server, flags).run_by(words_before)};
}

/// A client that sends requests and never reads a response.
class NonReadingClient {
public:
    NonReadingClient(asio::io_context& io, const Target& target) : socket_{io} {
        asio::error_code ignored;
        open_socket(socket_, target);
        socket_.connect(target.endpoint(), ignored);
        socket_.non_blocking(true, ignored);
    }

    /// Sends what the kernel's buffers accept, and returns the number of bytes.
    std::size_t send(std::string_view bytes) {
        asio::error_code buffers_full;
        return socket_.write_some(asio::buffer(bytes), buffers_full);
    }

private:
    asio::ip::tcp::socket socket_;
};

/// How long an honest client waits for a response during an attack. It is shorter than an attack,
/// so a server that responds only after the attack fails. A server that passes needs milliseconds,
/// or seconds if attackers, server and other programs share few cores.
constexpr std::chrono::milliseconds probe_timeout = 20s;

using ResponseTime = std::optional<std::chrono::microseconds>;

/// The longer of two response times; empty if one is.
ResponseTime slower(ResponseTime one, ResponseTime other) {
    return one && other ? std::max(one, other) : std::nullopt;
}

/// Probes the server again and again while the attack runs. Returns the longest response time, or
/// nothing if a response was missing.
template <typename Attack>
ResponseTime slowest_probe_during(const Target& target, Attack attack) {
    auto running = std::async(std::launch::async, attack);
    ResponseTime slowest = 0us;
    do {
        slowest = slower(slowest, probe(target, probe_timeout));
    } while (running.wait_for(10ms) != std::future_status::ready);
    running.get();
    return slowest;
}

/// The growth of a server's memory per client, without half a megabyte that the server may grow by
/// for the first client.
double bytes_per_client(ServerProcess& server, long kib_before, std::size_t clients) {
    const pid_t pid = server.process().pid();
    const std::ptrdiff_t kib = wait_for([&] { return status_number(pid, "VmRSS"); }, -1);
    return std::max(static_cast<double>(kib - kib_before - 512), 0.0) * 1024 /
           static_cast<double>(clients);
}

/// Whether memory is within its limit. With a sanitizer, which uses much memory, it always is.
bool within(double limit, double bytes) { return sanitized || bytes < limit; }

// ---- descriptors, connections, memory -----------------------------------------------------------

/// More clients than the server has descriptors for.
Outcome exceed_descriptor_limit(const std::string& server, std::size_t part) {
    constexpr std::ptrdiff_t limit = 64;
    const std::size_t clients = std::max<std::size_t>(500 / part, 2 * limit);
    ServerProcess process = start(server, "", {"prlimit", fmt::format("--nofile={}", limit)});
    const Target& target = process.target();
    const pid_t pid = process.process().pid();
    Connection accepted{target};
    asio::io_context io;
    std::list<NonReadingClient> idle;
    while (idle.size() < clients) {
        idle.emplace_back(io, target);
    }
    const bool at_limit = wait_for([&] { return descriptors(pid); }, limit) == limit;
    const auto begin = steady_clock::now();
    const auto cpu_before = processor_time(pid);
    std::this_thread::sleep_for(1s);  // the measured interval
    const double cpu_share =
        in_ms(processor_time(pid) - cpu_before) / in_ms(steady_clock::now() - begin);
    const bool serves = accepted.send(post(event_body(0))) && accepted.receive(probe_timeout);
    idle.clear();
    const auto recovered = probe(target, probe_timeout);
    return {.passed = at_limit && cpu_share < 0.1 && serves && recovered,
            .slowest = recovered,
            .figure = fmt::format("{:.0f} % of a core while {} clients waited", cpu_share * 100,
                                  clients)};
}

Outcome open_idle_connections(const std::string& server, std::size_t part) {
    constexpr double bytes_max = 4'000;
    constexpr std::size_t other_descriptors = 100;  // of this program
    const std::size_t descriptors_max = raise_descriptor_limit();
    const std::size_t clients =
        std::min(15'000 / part, descriptors_max - std::min(descriptors_max, other_descriptors));
    if (clients == 0) {
        throw std::runtime_error{fmt::format("{} descriptors are too few", descriptors_max)};
    }
    ServerProcess process = start(server, "--idle-ms 600000");
    const SilentConnections idle = open_silent_connections(process, clients);
    return {.passed = idle.connections == static_cast<std::ptrdiff_t>(clients) && idle.probe &&
                      within(bytes_max, idle.kb_each * 1000),
            .slowest = idle.probe,
            .figure = fmt::format("{} connections, {:.0f} bytes each", idle.connections,
                                  idle.kb_each * 1000)};
}

/// Clients pipeline requests until the server reads no more.
Outcome leave_responses_unread(const std::string& server, std::size_t part) {
    const std::size_t clients = 200 / part;
    // 16 KiB read, 16 KiB of responses and a head of 8 KiB, twice, because strings double.
    constexpr double bytes_max = 2 * (16 + 16 + 8) * 1024;
    std::string requests;
    while (requests.size() < 1'000'000) {
        requests += "GET / HTTP/1.1\r\nHost: unfreeze\r\n\r\n";
    }
    ServerProcess process = start(server, "");
    probe(process.target(), frozen_after);  // allocates what the first request needs
    const long before = status_number(process.process().pid(), "VmRSS");
    asio::io_context io;
    std::list<NonReadingClient> non_reading;
    std::size_t sent = 0;
    const auto slowest = slowest_probe_during(process.target(), [&] {
        while (non_reading.size() < clients) {
            non_reading.emplace_back(io, process.target());
        }
        wait_for(
            [&] {
                for (NonReadingClient& client : non_reading) {
                    sent += client.send(requests);
                }
                return static_cast<std::ptrdiff_t>(sent);
            },
            -1);
    });
    const double bytes = bytes_per_client(process, before, clients);
    return {.passed = slowest && within(bytes_max, bytes),
            .slowest = slowest,
            .figure = fmt::format("{} KiB received and {:.0f} KiB kept per client",
                                  sent / clients / 1024, bytes / 1024)};
}

/// Each client sends its body except for the last byte.
Outcome leave_bodies_unfinished(const std::string& server, std::size_t part) {
    const std::size_t clients = 1'000 / part;
    constexpr std::size_t body_bytes = 64 * 1024;
    constexpr double bytes_max = 2 * (8 * 1024 + body_bytes);  // twice, because strings double
    const std::string bytes =
        fmt::format("POST / HTTP/1.1\r\nHost: unfreeze\r\nContent-Length: {}\r\n\r\n{}", body_bytes,
                    std::string(body_bytes - 1, 'x'));
    ServerProcess process = start(server, "");
    const Target& target = process.target();
    probe(target, frozen_after);  // allocates what the first request needs
    const long before = status_number(process.process().pid(), "VmRSS");
    std::list<Connection> unfinished;
    const auto slowest = slowest_probe_during(target, [&] {
        while (unfinished.size() < clients && unfinished.emplace_back(target).send(bytes)) {
        }
    });
    const double kept = bytes_per_client(process, before, clients);
    const bool all = unfinished.size() == clients && unfinished.back().send("x") &&
                     unfinished.back().receive(probe_timeout);
    return {.passed = all && slowest && within(bytes_max, kept),
            .slowest = slowest,
            .figure = fmt::format("{} bodies, {:.0f} KiB each", unfinished.size(), kept / 1024)};
}

/// More clients than --connections-max: the others wait, and none is rejected.
Outcome exceed_connection_limit(const std::string& server, std::size_t part) {
    constexpr std::ptrdiff_t connections_max = 20;
    const std::size_t requests = 5'000 / part;
    ServerProcess process = start(server, fmt::format("--connections-max {}", connections_max));
    const pid_t pid = process.process().pid();
    const std::ptrdiff_t before = descriptors(pid);
    std::ptrdiff_t open_max = 0;
    auto load = std::async(std::launch::async, [&] {
        return run_load(process.target(),
                        {.requests = requests, .concurrency = 500, .timeout_ms = probe_timeout});
    });
    while (load.wait_for(1ms) != std::future_status::ready) {
        open_max = std::max(open_max, descriptors(pid) - before);
    }
    const LoadReport report = load.get();
    // The server may hold two more: one just accepted, and one that it is closing.
    return {.passed = report.errors_in_all() == 0 && report.never_sent == 0 &&
                      open_max <= connections_max + 2,
            .slowest = report.latency.max(),
            .figure = fmt::format("{} of {} requests answered, at most {} open",
                                  report.accepted + report.rejected, requests, open_max)};
}

// ---- slow clients -------------------------------------------------------------------------------

/// Runs slowhttptest in one of its modes. The server passes if it closes all connections during the
/// attack. The client's view does not count: if responses wait in the kernel for a slow reader, the
/// kernel sends them long after the server has closed.
template <char mode>
Outcome run_slowhttptest(const std::string& server, std::size_t part) {
    const std::string flags =
        mode == 'X' ? "-X -k 10 -n 1 -z 32 -w 1 -y 128" : fmt::format("-{}", mode);
    const auto clients = static_cast<std::ptrdiff_t>(1'000 / part);
    ServerProcess process = start(server, short_timeouts);
    const Target& target = process.target();
    const pid_t pid = process.process().pid();
    const std::ptrdiff_t before = descriptors(pid) + 1;  // the probe's
    Process attacker{Command{"slowhttptest", fmt::format("{} -c {} -r {} -i 1 -l 30 -u http://{}/",
                                                         flags, clients, clients, target.name())}
                         .with(Output::kept_with_errors)};
    std::ptrdiff_t open_max = 0;
    bool all_closed = false;
    const auto begin = steady_clock::now();
    const auto slowest = slowest_probe_during(target, [&] {
        while (!all_closed && !attacker.ended()) {
            const std::ptrdiff_t open = descriptors(pid) - before;
            open_max = std::max(open_max, open);
            all_closed = open_max > clients / 2 && open <= 0;
            std::this_thread::sleep_for(10ms);  // /proc can only be polled
        }
    });
    if (attacker.ended() && !attacker.wait_for_output("Exit status:", 1s)) {
        throw std::runtime_error{"slowhttptest did not run: is its package installed?"};
    }
    all_closed =
        all_closed || attacker.output().find("No open connections left") != std::string::npos;
    const double took = in_ms(steady_clock::now() - begin) / 1000;
    return {.passed = slowest && all_closed,
            .slowest = slowest,
            .figure = fmt::format(
                "{} open at most, {}", open_max,
                all_closed ? fmt::format("all closed after {:.1f} s", took) : "some never closed")};
}

// ---- time ---------------------------------------------------------------------------------------

std::string libfaketime() {
    for (const auto& folder : std::filesystem::directory_iterator{"/usr/lib"}) {
        const auto library = folder.path() / "faketime/libfaketimeMT.so.1";
        if (exists(library)) {
            return library;
        }
    }
    throw std::runtime_error{"libfaketime is missing: is its package installed?"};
}

/// libfaketime moves the server's wall clock, while one connection is in use and another waits.
Outcome move_wall_clock(const std::string& server, std::size_t) {
    constexpr std::array<std::string_view, 4> jumps{"+3600s", "-7200s", "+400d", "+0"};
    const std::string file =
        std::filesystem::temp_directory_path() / fmt::format("unfreeze-clock-{}", getpid());
    // The library ends a process that reads an empty file, so rename replaces the file at once.
    const auto set = [&](std::string_view offset) {
        std::ofstream stream{file + ".new"};
        stream << offset << '\n';
        stream.close();
        if (!stream) {
            throw std::runtime_error{fmt::format("can't write to {}.new", file)};
        }
        std::filesystem::rename(file + ".new", file);
    };
    set("+0");
    ServerProcess process =
        start(server, "--idle-ms 60000",
              {"env", "LD_PRELOAD=" + libfaketime(), "FAKETIME_DONT_FAKE_MONOTONIC=1",
               "FAKETIME_NO_CACHE=1", "FAKETIME_TIMESTAMP_FILE=" + file});
    Connection waiting{process.target()};
    waiting.send("POST / HTTP/1.1\r\n");
    Connection in_use{process.target()};
    std::vector<std::string> dates;
    ResponseTime slowest = 0us;
    for (const std::string_view jump : jumps) {
        set(jump);
        std::this_thread::sleep_for(1'100ms);  // the server reads the wall clock once a second
        in_use.send(post(event_body(0)));
        const auto response = in_use.receive(probe_timeout);
        slowest = slower(slowest, probe(process.target(), probe_timeout));
        dates.push_back(std::string{response ? response->field("Date") : ""});
    }
    const bool continues = waiting.send("Host: unfreeze\r\nContent-Length: 0\r\n\r\n") &&
                           waiting.receive(probe_timeout);
    std::sort(dates.begin(), dates.end());
    const auto distinct = std::unique(dates.begin(), dates.end()) - dates.begin();
    std::filesystem::remove(file);
    return {.passed = continues && slowest && dates.front() != "" && distinct == std::ssize(jumps),
            .slowest = slowest,
            .figure = fmt::format("{} jumps, {} distinct dates, {}", jumps.size(), distinct,
                                  continues ? "sessions continue" : "a session ended")};
}

constexpr std::array<Attack, 10> attacks{{
    {"descriptor-limit", "500 clients, 64 descriptors", 3, exceed_descriptor_limit},
    {"idle-connections", "15,000 idle connections", 3, open_idle_connections},
    {"connection-limit", "500 clients, --connections-max 20", 5, exceed_connection_limit},
    {"unread-responses", "200 clients never read a response", 3, leave_responses_unread},
    {"unfinished-bodies", "1,000 bodies lack their last byte", 3, leave_bodies_unfinished},
    {"slow-heads", "1,000 slow heads (slowhttptest -H)", 3, run_slowhttptest<'H'>},
    {"slow-bodies", "1,000 slow bodies (slowhttptest -B)", 3, run_slowhttptest<'B'>},
    {"many-ranges", "1,000 lists of ranges (slowhttptest -R)", 3, run_slowhttptest<'R'>},
    {"slow-readers", "1,000 slow readers (slowhttptest -X)", 3, run_slowhttptest<'X'>},
    {"clock-jumps", "wall clock jumps forward and back", 3, move_wall_clock},
}};

}  // namespace

/// A sanitizer's library must be loaded first, and so must libfaketime, which the last attack uses.
std::span<const Attack> all_attacks() {
    return std::span{attacks}.first(attacks.size() - (sanitized ? 1 : 0));
}

}  // namespace unfreeze
