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

/// Short, so that an attack that only waits does not take long.
constexpr std::string_view short_patience =
    "--idle-ms 3000 --head-ms 3000 --body-ms 3000 --write-ms 3000";

ServerProcess start(const std::string& server, std::string_view flags,
                    const std::vector<std::string>& words_before = {}) {
    return ServerProcess{server_command(server, flags).run_by(words_before)};
}

/// A client that sends what it likes and whose answers nobody reads.
class DeafClient {
public:
    DeafClient(asio::io_context& io, const Target& target) : socket_{io} {
        asio::error_code refused;
        open_socket(socket_, target);
        socket_.connect(target.endpoint(), refused);
        socket_.non_blocking(true, refused);
    }

    /// As much as the kernels' buffers take; how much that was.
    std::size_t send(std::string_view bytes) {
        asio::error_code no_room;
        return socket_.write_some(asio::buffer(bytes), no_room);
    }

private:
    asio::ip::tcp::socket socket_;
};

/// What an honest client waits beside an attack. A server that an attack stops answers when the
/// attack is over, which lasts longer than this. A server that holds answers while it goes on: in
/// milliseconds, or in seconds where attackers, server and others have to share few cores.
constexpr std::chrono::milliseconds patience = 20s;

using Answered = std::optional<std::chrono::microseconds>;

Answered slower(Answered one, Answered other) {
    return one && other ? std::max(one, other) : std::nullopt;
}

/// Asks again and again while something goes on, and gives the longest time that an answer took;
/// nothing where one did not come.
template <typename Attack>
Answered slowest_probe_beside(const Target& target, Attack attack) {
    auto running = std::async(std::launch::async, attack);
    Answered slowest = 0us;
    do {
        slowest = slower(slowest, probe(target, patience));
    } while (running.wait_for(10ms) != std::future_status::ready);
    running.get();
    return slowest;
}

/// By how many bytes a server has grown for each of its clients; half a megabyte is what it would
/// have grown by for the first of them.
double bytes_each(ServerProcess& server, long kib_before, std::size_t clients) {
    const pid_t pid = server.process().pid();
    const std::ptrdiff_t kib = wait_for([&] { return status_number(pid, "VmRSS"); }, -1);
    return std::max(static_cast<double>(kib - kib_before - 512), 0.0) * 1024 /
           static_cast<double>(clients);
}

/// Of memory; but for what a sanitizer takes for itself.
bool within(double limit, double bytes) { return sanitized || bytes < limit; }

// ---- descriptors, connections, memory -----------------------------------------------------------

/// 500 clients find 64 descriptors.
Outcome used_up_descriptors(const std::string& server, std::size_t part) {
    constexpr std::ptrdiff_t limit = 64;
    const std::size_t clients = std::max<std::size_t>(500 / part, 2 * limit);
    ServerProcess process = start(server, "", {"prlimit", fmt::format("--nofile={}", limit)});
    const Target& target = process.target();
    const pid_t pid = process.process().pid();
    Connection served{target};
    asio::io_context io;
    std::list<DeafClient> silent;
    while (silent.size() < clients) {
        silent.emplace_back(io, target);
    }
    const bool used_up = wait_for([&] { return descriptors(pid); }, limit) == limit;
    const auto begin = steady_clock::now();
    const auto used_before = processor_time(pid);
    std::this_thread::sleep_for(1s);  // to measure in
    const double share =
        in_ms(processor_time(pid) - used_before) / in_ms(steady_clock::now() - begin);
    const bool serves = served.send(post(event_body(0))) && served.receive(patience);
    silent.clear();
    const auto recovered = probe(target, patience);
    return {used_up && share < 0.1 && serves && recovered, recovered,
            fmt::format("{:.0f} % of a core while {} waited", share * 100, clients)};
}

Outcome idle_connections(const std::string& server, std::size_t part) {
    constexpr double limit = 4'000;
    constexpr std::size_t others = 100;  // descriptors that this program has open besides
    const std::size_t descriptors_max = raise_descriptor_limit();
    const std::size_t clients =
        std::min(15'000 / part, descriptors_max - std::min(descriptors_max, others));
    if (clients == 0) {
        throw std::runtime_error{fmt::format("{} descriptors are too few", descriptors_max)};
    }
    ServerProcess process = start(server, "--idle-ms 600000");
    const SilentConnections held = open_silent_connections(process, clients);
    return {held.connections == static_cast<std::ptrdiff_t>(clients) && held.probe &&
                within(limit, held.kb_each * 1000),
            held.probe,
            fmt::format("{} at {:.0f} bytes each", held.connections, held.kb_each * 1000)};
}

/// Requests and requests, and nobody reads the answers.
Outcome unread_answers(const std::string& server, std::size_t part) {
    const std::size_t clients = 200 / part;
    constexpr double limit = 2 * (16 + 16 + 8) * 1024;  // a read, answers, a head; strings double
    std::string requests;
    while (requests.size() < 1'000'000) {
        requests += "GET / HTTP/1.1\r\nHost: unfreeze\r\n\r\n";
    }
    ServerProcess process = start(server, "");
    probe(process.target(), frozen_after);  // what the first request of all costs is not counted
    const long before = status_number(process.process().pid(), "VmRSS");
    asio::io_context io;
    std::list<DeafClient> deaf;
    std::size_t sent = 0;
    const auto slowest = slowest_probe_beside(process.target(), [&] {
        while (deaf.size() < clients) {
            deaf.emplace_back(io, process.target());
        }
        wait_for(
            [&] {
                for (DeafClient& client : deaf) {
                    sent += client.send(requests);
                }
                return static_cast<std::ptrdiff_t>(sent);
            },
            -1);
    });
    const double each = bytes_each(process, before, clients);
    return {
        slowest && within(limit, each), slowest,
        fmt::format("{} KiB taken from each, {:.0f} KiB kept", sent / clients / 1024, each / 1024)};
}

/// A body each, all of it but the last byte.
Outcome unfinished_bodies(const std::string& server, std::size_t part) {
    const std::size_t clients = 1'000 / part;
    constexpr std::size_t body_bytes = 64 * 1024;
    constexpr double limit = 2 * (8 * 1024 + body_bytes);  // twice: strings double
    const std::string bytes =
        fmt::format("POST / HTTP/1.1\r\nHost: unfreeze\r\nContent-Length: {}\r\n\r\n{}", body_bytes,
                    std::string(body_bytes - 1, 'x'));
    ServerProcess process = start(server, "");
    const Target& target = process.target();
    probe(target, frozen_after);
    const long before = status_number(process.process().pid(), "VmRSS");
    std::list<Connection> unfinished;
    const auto slowest = slowest_probe_beside(target, [&] {
        while (unfinished.size() < clients && unfinished.emplace_back(target).send(bytes)) {
        }
    });
    const double each = bytes_each(process, before, clients);
    const bool all = unfinished.size() == clients && unfinished.back().send("x") &&
                     unfinished.back().receive(patience);
    return {all && slowest && within(limit, each), slowest,
            fmt::format("{} at {:.0f} KiB each", unfinished.size(), each / 1024)};
}

/// 20 places, and 500 clients that come at once: nobody is refused.
Outcome more_than_places(const std::string& server, std::size_t part) {
    constexpr std::ptrdiff_t places = 20;
    const std::size_t requests = 5'000 / part;
    ServerProcess process = start(server, fmt::format("--connections-max {}", places));
    const pid_t pid = process.process().pid();
    const std::ptrdiff_t before = descriptors(pid);
    std::ptrdiff_t most = 0;
    auto load = std::async(std::launch::async, [&] {
        return run_load(process.target(),
                        {.requests = requests, .concurrency = 500, .timeout_ms = patience});
    });
    while (load.wait_for(1ms) != std::future_status::ready) {
        most = std::max(most, descriptors(pid) - before);
    }
    const LoadReport report = load.get();
    // One that it is about to accept, and one that it is about to close.
    return {report.errors_in_all() == 0 && report.never_sent == 0 && most <= places + 2,
            report.latency.max(),
            fmt::format("{} of {} answered, at most {} open", report.accepted + report.rejected,
                        requests, most)};
}

// ---- slowness -----------------------------------------------------------------------------------

/// One of slowhttptest's modes: the server lets all of its clients go while it still goes on. What
/// the client thinks of it is no measure: where answers wait for a slow reader in the kernel, that
/// sends them on when the server has long closed.
Outcome slow_clients(const std::string& server, std::size_t part, std::string_view mode) {
    const auto clients = static_cast<std::ptrdiff_t>(1'000 / part);
    ServerProcess process = start(server, short_patience);
    const Target& target = process.target();
    const pid_t pid = process.process().pid();
    const std::ptrdiff_t before = descriptors(pid) + 1;  // the probe's
    Process slow{Command{"slowhttptest", fmt::format("{} -c {} -r {} -i 1 -l 30 -u http://{}/",
                                                     mode, clients, clients, target.name())}
                     .with(Output::kept_with_errors)};
    std::ptrdiff_t most = 0;
    bool let_go = false;
    const auto begin = steady_clock::now();
    const auto slowest = slowest_probe_beside(target, [&] {
        while (!let_go && !slow.ended()) {
            const std::ptrdiff_t held = descriptors(pid) - before;
            most = std::max(most, held);
            let_go = most > clients / 2 && held <= 0;
            std::this_thread::sleep_for(10ms);  // /proc can't be waited on
        }
    });
    if (slow.ended() && !slow.wait_for_output("Exit status:", 1s)) {
        throw std::runtime_error{"slowhttptest did not run: is its package installed?"};
    }
    let_go = let_go || slow.output().find("No open connections left") != std::string::npos;
    const double took = in_ms(steady_clock::now() - begin) / 1000;
    return {slowest && let_go, slowest,
            fmt::format("{} at a time, {}", most,
                        let_go ? fmt::format("gone after {:.1f} s", took) : "not let go")};
}

Outcome slow_heads(const std::string& server, std::size_t part) {
    return slow_clients(server, part, "-H");
}

Outcome slow_bodies(const std::string& server, std::size_t part) {
    return slow_clients(server, part, "-B");
}

Outcome ranges(const std::string& server, std::size_t part) {
    return slow_clients(server, part, "-R");
}

Outcome slow_readers(const std::string& server, std::size_t part) {
    return slow_clients(server, part, "-X -k 10 -n 1 -z 32 -w 1 -y 128");
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

/// The wall clock jumps, by libfaketime, beside a connection in use and one that waits.
Outcome jumping_clock(const std::string& server, std::size_t) {
    constexpr std::array<std::string_view, 4> jumps{"+3600s", "-7200s", "+400d", "+0"};
    const std::string file =
        std::filesystem::temp_directory_path() / fmt::format("unfreeze-clock-{}", getpid());
    // The library ends a process that reads this file while it is empty, so it is replaced whole.
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
    Connection used{process.target()};
    std::vector<std::string> dates;
    Answered slowest = 0us;
    for (const std::string_view jump : jumps) {
        set(jump);
        std::this_thread::sleep_for(1'100ms);  // the wall clock is looked at once a second
        used.send(post(event_body(0)));
        const auto response = used.receive(patience);
        slowest = slower(slowest, probe(process.target(), patience));
        dates.push_back(std::string{response ? response->field("Date") : ""});
    }
    const bool goes_on =
        waiting.send("Host: unfreeze\r\nContent-Length: 0\r\n\r\n") && waiting.receive(patience);
    std::sort(dates.begin(), dates.end());
    const auto different = std::unique(dates.begin(), dates.end()) - dates.begin();
    std::filesystem::remove(file);
    return {goes_on && slowest && dates.front() != "" && different == std::ssize(jumps), slowest,
            fmt::format("{} jumps, {} dates, {}", jumps.size(), different,
                        goes_on ? "sessions go on" : "a session ended")};
}

constexpr std::array<Attack, 10> attacks{{
    {"descriptors", "500 clients find 64 descriptors", 3, used_up_descriptors},
    {"idle", "15,000 silent connections", 3, idle_connections},
    {"places", "500 clients find 20 places", 5, more_than_places},
    {"unread", "200 clients never read an answer", 3, unread_answers},
    {"bodies", "1,000 bodies lack their last byte", 3, unfinished_bodies},
    {"slow-heads", "1,000 slow heads (slowhttptest -H)", 3, slow_heads},
    {"slow-bodies", "1,000 slow bodies (slowhttptest -B)", 3, slow_bodies},
    {"ranges", "1,000 lists of ranges (slowhttptest -R)", 3, ranges},
    {"slow-readers", "1,000 slow readers (slowhttptest -X)", 3, slow_readers},
    {"clock", "the wall clock jumps, on and back", 3, jumping_clock},
}};

}  // namespace

/// The last one loads a library before all others, which is where a sanitizer wants to be.
std::span<const Attack> all_attacks() {
    return std::span{attacks}.first(attacks.size() - (sanitized ? 1 : 0));
}

}  // namespace unfreeze
