// Soaks the last stage's server: runs it under clients of all kinds, and stops it with SIGTERM
// while they are active, again and again. Checks that it loses no accepted event and leaks nothing.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "clients/probe/connection.hpp"
#include "clients/probe/counts.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/process.hpp"
#include "clients/probe/silent_connections.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/histogram.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Clients of all kinds, in one thread each. They are active until they are paused or stopped, and
/// hold no connection while they are paused.
class ClientMix {
public:
    /// Delegates to a constructor that completes the object, so that the destructor ends the
    /// threads that exist if another one can't be started.
    explicit ClientMix(const Target& target) : ClientMix{target, Phase::paused} {
        for (std::size_t i = 0; i < 8; ++i) {
            add(&ClientMix::send_events);
        }
        for (std::size_t i = 0; i < 2; ++i) {
            add(&ClientMix::send_bursts);
            add(&ClientMix::send_malformed_requests);
            add(&ClientMix::send_slow_head);
            add(&ClientMix::disconnect_mid_request);
        }
        add(&ClientMix::hold_idle_connections);
        add(&ClientMix::never_read);
        add(&ClientMix::read_counters);
    }

    ~ClientMix() {
        enter(Phase::stopped);
        clients_.clear();
    }

    ClientMix(const ClientMix&) = delete;
    ClientMix& operator=(const ClientMix&) = delete;

    /// Returns once all clients have closed their connections.
    void pause() {
        enter(Phase::paused);
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return paused_ == clients_.size(); });
    }

    void resume() { enter(Phase::active); }

    struct Totals {
        std::uint64_t accepted = 0;  // events with a 2xx response
        std::uint64_t rejected = 0;  // events with a 503: the queue was full, or the server drained
        std::uint64_t unanswered = 0;  // events without a response
        std::uint64_t malformed = 0;   // malformed requests with a 4xx or 5xx response
        std::uint64_t wrong = 0;   // malformed requests accepted, and counters that do not add up
        LatencyHistogram latency;  // of events that are sent one at a time
    };

    /// Call this only while the clients are paused.
    const Totals& totals() const { return totals_; }

private:
    enum class Phase { active, paused, stopped };

    ClientMix(const Target& target, Phase phase) : target_{target}, phase_{phase} {}

    void add(void (ClientMix::*act_once)()) {
        clients_.emplace_back([this, act_once] {
            for (;;) {
                {
                    std::unique_lock lock{mutex_};
                    ++paused_;
                    changed_.notify_all();
                    changed_.wait(lock, [this] { return phase_ != Phase::paused; });
                    --paused_;
                    if (phase_ == Phase::stopped) {
                        return;
                    }
                }
                (this->*act_once)();
            }
        });
    }

    void enter(Phase phase) {
        const std::lock_guard lock{mutex_};
        phase_ = phase;
        changed_.notify_all();
    }

    /// Waits for the delay, or until the clients are no longer active. Returns whether they are.
    bool active_after(std::chrono::milliseconds delay) {
        std::unique_lock lock{mutex_};
        return !changed_.wait_for(lock, delay, [this] { return phase_ != Phase::active; });
    }

    template <typename Change>
    void count(Change change) {
        const std::lock_guard lock{mutex_};
        change(totals_);
    }

    /// Counts an event by the status of its response; 0 means no response.
    void count_event(int status) {
        count([status](Totals& totals) {
            ++(status / 100 == 2 ? totals.accepted
               : status == 503   ? totals.rejected
                                 : totals.unanswered);
        });
    }

    // Each of these is called in a loop, and returns soon after the clients are paused or stopped.

    /// Never retries, so that each event is counted once.
    void send_events() {
        Connection connection{target_};
        for (std::size_t n = 0; connection.connected() && active_after(15ms); ++n) {
            const auto start = steady_clock::now();
            connection.send(post(event_body(n)));
            const int status = status_of(connection.receive());
            count_event(status);
            if (status == 0) {
                break;
            }
            count([&](Totals& totals) {
                totals.latency.record(std::chrono::duration_cast<std::chrono::microseconds>(
                    steady_clock::now() - start));
            });
        }
        active_after(10ms);
    }

    /// Pipelines more events than the queue holds.
    void send_bursts() {
        constexpr std::size_t events = 300;
        std::string bytes;
        for (std::size_t n = 0; n < events; ++n) {
            bytes += post(event_body(n));
        }
        Connection connection{target_};
        if (connection.connected()) {
            connection.send(bytes);
            for (std::size_t n = 0; n < events; ++n) {
                count_event(status_of(connection.receive(n == 0 ? 5s : 1s)));
            }
        }
        active_after(500ms);
    }

    void send_malformed_requests() {
        static const std::array<std::string, 8> requests{
            "hello\r\n\r\n",
            post("{"),
            post(R"({"user":"a","action":"b","amount":1e3})"),
            post(R"({"x":)" + std::string(60'000, '[')),
            post(event_body(0), "Content-Length: 1\r\n"),
            post(event_body(0), "Transfer-Encoding: chunked\r\n"),
            "POST / HTTP/1.1\r\nX: " + std::string(9'000, 'x'),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" +
                std::string(50'000, 'x')};
        for (const std::string& bytes : requests) {
            Connection connection{target_};
            connection.send(bytes);
            const int status = status_of(connection.receive());
            count([status](Totals& totals) {
                totals.malformed += status >= 400 ? 1 : 0;
                totals.wrong += status != 0 && status < 400 ? 1 : 0;
            });
            if (!active_after(20ms)) {
                return;
            }
        }
    }

    /// Sends a head byte by byte, for longer than the server's timeout.
    void send_slow_head() {
        Connection connection{target_};
        connection.send("POST / HTTP/1.1\r\nX: ");
        while (active_after(50ms) && connection.send("x") && !connection.receive(0ms)) {
        }
    }

    /// Resets in the middle of a request, at another byte each time.
    void disconnect_mid_request() {
        const std::string request = post(event_body(0));
        for (std::size_t bytes = 0; bytes < request.size() && active_after(5ms); bytes += 7) {
            Connection connection{target_};
            connection.send(request.substr(0, bytes));
            connection.reset();
        }
    }

    void hold_idle_connections() {
        std::list<Connection> idle;
        while (idle.size() < 50) {
            idle.emplace_back(target_);
        }
        active_after(800ms);
    }

    /// Pipelines balance queries, and reads no response.
    void never_read() {
        std::string bytes;
        while (bytes.size() < 64 * 1024) {
            bytes += post(R"({"type":"balance","user":"absent"})");
        }
        Connection connection{target_};
        while (connection.send(bytes, 100ms) && active_after(0ms)) {
        }
        active_after(500ms);
    }

    void read_counters() {
        Connection connection{target_};
        while (connection.connected() && active_after(50ms)) {
            const auto counts = ask_for_counts(connection);
            if (!counts) {
                break;
            }
            count([&](Totals& totals) { totals.wrong += counts->add_up() ? 0 : 1; });
        }
        active_after(10ms);
    }

    const Target target_;
    std::mutex mutex_;  // guards all members below except the threads
    std::condition_variable changed_;
    Phase phase_;
    std::size_t paused_ = 0;  // clients
    Totals totals_;
    std::list<std::jthread> clients_;
};

/// The growth of memory per run that is noise of the allocator and of the kernel's accounting.
constexpr long growth_kib_max = 256;

/// One run of the server, from its start to its exit.
struct Run {
    ClientMix::Totals totals;
    long kib = 0;                  // resident memory in the first pause
    long growth_kib = 0;           // from the first pause to the last one
    std::ptrdiff_t leaked = 0;     // descriptors that stayed open in a pause
    std::optional<Counts> counts;  // the last ones that the server printed
    std::optional<int> exit_status;

    /// Accepted events that the server did not process.
    std::uint64_t lost() const {
        return counts ? totals.accepted - std::min(totals.accepted, counts->processed)
                      : totals.accepted;
    }

    /// Processed events that no client sent.
    std::uint64_t unsent() const {
        const std::uint64_t sent = totals.accepted + totals.unanswered;
        return counts && counts->processed > sent ? counts->processed - sent : 0;
    }

    bool passed() const {
        return exit_status == 0 && counts && counts->pending == 0 && counts->add_up() &&
               lost() == 0 && unsent() == 0 && leaked == 0 && totals.wrong == 0 &&
               totals.accepted > 0;
    }
};

/// Waits up to ten seconds until many events are queued, so that SIGTERM finds events to lose.
void wait_for_queued_events(const Target& target) {
    Connection connection{target};
    const auto deadline = steady_clock::now() + 10s;
    std::optional<Counts> counts;
    do {
        counts = ask_for_counts(connection);
    } while (counts && counts->pending < 50 && steady_clock::now() < deadline);
}

Run run_once(const std::string& name, std::chrono::seconds duration) {
    constexpr int pauses = 3;
    Run run;
    ServerProcess server{our_server(
        name,
        "--workers 4 --work-ms 2 --hold-ms 0 --idle-ms 1000 --head-ms 1000 --body-ms 1000 "
        "--write-ms 1000 --linger-ms 200")};
    const pid_t pid = server.process().pid();
    const std::ptrdiff_t before = descriptors(pid);
    {
        ClientMix clients{server.target()};
        for (int pause = 1; pause <= pauses; ++pause) {
            clients.resume();
            std::this_thread::sleep_for(duration / (pauses + 1.0));
            clients.pause();
            const auto deadline = steady_clock::now() + 10s;
            while (descriptors(pid) > before && steady_clock::now() < deadline) {
                std::this_thread::sleep_for(10ms);  // /proc can only be polled
            }
            run.leaked = std::max(run.leaked, descriptors(pid) - before);
            const long kib = status_number(pid, "VmRSS");
            run.kib = pause == 1 ? kib : run.kib;
            run.growth_kib = kib - run.kib;
        }
        clients.resume();
        std::this_thread::sleep_for(duration / (pauses + 1.0));
        wait_for_queued_events(server.target());
        kill(pid, SIGTERM);
        server.process().wait_for_end(30s);
        clients.pause();
        run.totals = clients.totals();
    }
    run.exit_status = server.process().exit_status();
    run.counts = final_counts(server.process());
    return run;
}

template <typename Number>
Number median(std::vector<Number> numbers) {
    std::sort(numbers.begin(), numbers.end());
    return numbers.at((numbers.size() - 1) / 2);
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t runs = 30;
    std::size_t run_seconds = 60;
    std::string name = "stage10_shutdown";
    CommandLine command_line{"Soaks the last stage's server, and stops it again and again."};
    command_line.add("--runs", runs, 1, 10'000, "each from a start to a SIGTERM");
    command_line.add("--run-seconds", run_seconds, 4, 3'600, "duration of a run");
    command_line.add("--program", name, "the server, a program in the same directory as this one");
    command_line.parse(argc, argv);

    raise_descriptor_limit();
    fmt::print(
        " run   accepted   rejected   unanswered   malformed   lost         p50         p99     "
        "memory     growth   leaked   exit\n");
    std::vector<Run> all;
    try {
        while (all.size() < runs) {
            const Run& run = all.emplace_back(run_once(name, std::chrono::seconds{run_seconds}));
            fmt::print(
                "{:>4}   {:>8}   {:>8}   {:>10}   {:>9}   {:>4}   {:>6.2f} ms   {:>6.2f} ms   "
                "{:>5.1f} MB   {:>5} kB   {:>6}   {:>4}{}\n",
                all.size(), run.totals.accepted, run.totals.rejected, run.totals.unanswered,
                run.totals.malformed, run.lost(), in_ms(run.totals.latency.quantile(0.5)),
                in_ms(run.totals.latency.quantile(0.99)),
                static_cast<double>(run.kib) * 1.024 / 1000, run.growth_kib, run.leaked,
                run.exit_status.value_or(-1), run.passed() ? "" : "   FAIL");
            std::fflush(stdout);
        }
    } catch (const std::exception& error) {
        fail(fmt::format("can't run '{}': {}", name, error.what()));
    }

    // Medians, so that one run that the machine disturbed does not decide.
    std::vector<long> growths;
    std::vector<double> first_half;
    std::vector<double> second_half;
    for (std::size_t i = 0; i < all.size(); ++i) {
        growths.push_back(all[i].growth_kib);
        (i < (all.size() + 1) / 2 ? first_half : second_half)
            .push_back(in_ms(all[i].totals.latency.quantile(0.5)));
    }
    const double drift = second_half.empty() ? 1 : median(second_half) / median(first_half);
    const auto passed =
        std::count_if(all.begin(), all.end(), [](const Run& run) { return run.passed(); });
    const bool warm = run_seconds >= 30 && !sanitized;  // memory has reached its final size
    const bool good =
        passed == std::ssize(all) && (!warm || median(growths) <= growth_kib_max) && drift < 2;
    fmt::print(
        "median growth {} kB per run; p50 changed by {:+.0f} % from the first half of the "
        "runs to the second\n",
        median(growths), (drift - 1) * 100);
    const std::string_view failure = good                       ? ""
                                     : passed < std::ssize(all) ? "FAIL: "
                                                                : "FAIL, memory or p50 grew: ";
    fmt::print("verdict: {}{} of {} runs passed\n", failure, passed, all.size());
    finish_output();
    return good ? 0 : 1;
}
