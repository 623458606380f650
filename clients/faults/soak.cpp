// Keeps the last stage's server for a long time under clients of all kinds, ends it by SIGTERM in
// their midst again and again, and checks that it loses nothing and keeps nothing.
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

/// Clients that all do what they do until they are to rest, without a connection, or to leave.
class Crowd {
public:
    /// The other constructor has made a whole object, so that the destructor ends the threads that
    /// there are if there can't be another one.
    explicit Crowd(const Target& target) : Crowd{target, Phase::rest} {
        for (std::size_t i = 0; i < 8; ++i) {
            add(&Crowd::send_events);
        }
        for (std::size_t i = 0; i < 2; ++i) {
            add(&Crowd::send_bursts);
            add(&Crowd::send_nonsense);
            add(&Crowd::drip);
            add(&Crowd::vanish);
        }
        add(&Crowd::say_nothing);
        add(&Crowd::never_read);
        add(&Crowd::read_counters);
    }

    ~Crowd() {
        set(Phase::leave);
        clients_.clear();
    }

    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;

    /// Returns once the last one has dropped its connections.
    void rest() {
        set(Phase::rest);
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return resting_ == clients_.size(); });
    }

    void act() { set(Phase::act); }

    /// What they have seen, while nobody acts any more.
    struct Seen {
        std::uint64_t accepted = 0;    // 2xx for an event
        std::uint64_t rejected = 0;    // 503, as the queue was full or the server ended
        std::uint64_t unanswered = 0;  // events whose answer never came
        std::uint64_t refused = 0;     // nonsense, told so
        std::uint64_t wrong = 0;       // nonsense accepted, counters that do not add up
        LatencyHistogram latency;      // of events sent one at a time
    };
    const Seen& seen() const { return seen_; }

private:
    enum class Phase { act, rest, leave };

    Crowd(const Target& target, Phase phase) : target_{target}, phase_{phase} {}

    void add(void (Crowd::*act_once)()) {
        clients_.emplace_back([this, act_once] {
            for (;;) {
                {
                    std::unique_lock lock{mutex_};
                    ++resting_;
                    changed_.notify_all();
                    changed_.wait(lock, [this] { return phase_ != Phase::rest; });
                    --resting_;
                    if (phase_ == Phase::leave) {
                        return;
                    }
                }
                (this->*act_once)();
            }
        });
    }

    void set(Phase phase) {
        const std::lock_guard lock{mutex_};
        phase_ = phase;
        changed_.notify_all();
    }

    /// Waits so long, or until nobody is to act any more; whether one still is.
    bool acting_after(std::chrono::milliseconds pause) {
        std::unique_lock lock{mutex_};
        return !changed_.wait_for(lock, pause, [this] { return phase_ != Phase::act; });
    }

    template <typename Count>
    void count(Count count) {
        const std::lock_guard lock{mutex_};
        count(seen_);
    }

    /// Of an event: 0 where there is no answer.
    void count_event(int status) {
        count([status](Seen& seen) {
            ++(status / 100 == 2 ? seen.accepted : status == 503 ? seen.rejected : seen.unanswered);
        });
    }

    // Each of these is called again and again, and ends soon once nobody is to act.

    /// An event without a response is not sent again, so that each event is counted once.
    void send_events() {
        Connection connection{target_};
        for (std::size_t n = 0; connection.connected() && acting_after(15ms); ++n) {
            const auto start = steady_clock::now();
            connection.send(post(event_body(n)));
            const int status = status_of(connection.receive());
            count_event(status);
            if (status == 0) {
                break;
            }
            count([&](Seen& seen) {
                seen.latency.record(std::chrono::duration_cast<std::chrono::microseconds>(
                    steady_clock::now() - start));
            });
        }
        acting_after(10ms);
    }

    /// More at once than the queue has places.
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
        acting_after(500ms);
    }

    void send_nonsense() {
        static const std::array<std::string, 8> nonsense{
            "hello\r\n\r\n",
            post("{"),
            post(R"({"user":"a","action":"b","amount":1e3})"),
            post(R"({"x":)" + std::string(60'000, '[')),
            post(event_body(0), "Content-Length: 1\r\n"),
            post(event_body(0), "Transfer-Encoding: chunked\r\n"),
            "POST / HTTP/1.1\r\nX: " + std::string(9'000, 'x'),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" +
                std::string(50'000, 'x')};
        for (const std::string& bytes : nonsense) {
            Connection connection{target_};
            connection.send(bytes);
            const int status = status_of(connection.receive());
            count([status](Seen& seen) {
                seen.refused += status >= 400 ? 1 : 0;
                seen.wrong += status != 0 && status < 400 ? 1 : 0;
            });
            if (!acting_after(20ms)) {
                return;
            }
        }
    }

    /// A head, byte by byte, for longer than the server has patience.
    void drip() {
        Connection connection{target_};
        connection.send("POST / HTTP/1.1\r\nX: ");
        while (acting_after(50ms) && connection.send("x") && !connection.receive(0ms)) {
        }
    }

    /// In the middle of a request, at another byte each time.
    void vanish() {
        const std::string request = post(event_body(0));
        for (std::size_t bytes = 0; bytes < request.size() && acting_after(5ms); bytes += 7) {
            Connection connection{target_};
            connection.send(request.substr(0, bytes));
            connection.reset();
        }
    }

    void say_nothing() {
        std::list<Connection> silent;
        while (silent.size() < 50) {
            silent.emplace_back(target_);
        }
        acting_after(800ms);
    }

    /// Asks for balances, and reads none of the answers.
    void never_read() {
        std::string bytes;
        while (bytes.size() < 64 * 1024) {
            bytes += post(R"({"type":"balance","user":"nobody"})");
        }
        Connection connection{target_};
        while (connection.send(bytes, 100ms) && acting_after(0ms)) {
        }
        acting_after(500ms);
    }

    void read_counters() {
        Connection connection{target_};
        while (connection.connected() && acting_after(50ms)) {
            const auto counts = ask_for_counts(connection);
            if (!counts) {
                break;
            }
            count([&](Seen& seen) { seen.wrong += counts->add_up() ? 0 : 1; });
        }
        acting_after(10ms);
    }

    const Target target_;
    std::mutex mutex_;  // guards all below but the threads
    std::condition_variable changed_;
    Phase phase_;
    std::size_t resting_ = 0;
    Seen seen_;
    std::list<std::jthread> clients_;
};

/// That is noise: of what is held by allocators and by the kernel for us.
constexpr long growth_kib_max = 256;

/// What came of one life of the server, from its start to its end.
struct Life {
    Crowd::Seen seen;
    long kib = 0;                  // of resident memory when the clients rested first ...
    long growth_kib = 0;           // ... and by how much it had grown when they did so last
    std::ptrdiff_t kept = 0;       // descriptors that it still had when they rested
    std::optional<Counts> counts;  // its last words
    std::optional<int> exit_status;

    /// How many accepted events it has not worked on; or worked on, though no client sent them.
    std::uint64_t lost() const {
        return counts ? seen.accepted - std::min(seen.accepted, counts->processed) : seen.accepted;
    }
    std::uint64_t invented() const {
        const std::uint64_t sent = seen.accepted + seen.unanswered;
        return counts && counts->processed > sent ? counts->processed - sent : 0;
    }

    bool held() const {
        return exit_status == 0 && counts && counts->pending == 0 && counts->add_up() &&
               lost() == 0 && invented() == 0 && kept == 0 && seen.wrong == 0 && seen.accepted > 0;
    }
};

/// Until many events wait for a worker: the end is to come then, and not in a quiet moment.
void wait_for_much_to_lose(const Target& target) {
    Connection connection{target};
    const auto give_up = steady_clock::now() + 10s;
    std::optional<Counts> counts;
    do {
        counts = ask_for_counts(connection);
    } while (counts && counts->pending < 50 && steady_clock::now() < give_up);
}

Life live(const std::string& name, std::chrono::seconds life_time) {
    constexpr int rests = 3;
    Life life;
    ServerProcess server{our_server(
        name,
        "--workers 4 --work-ms 2 --hold-ms 0 --idle-ms 1000 --head-ms 1000 --body-ms 1000 "
        "--write-ms 1000 --linger-ms 200")};
    const pid_t pid = server.process().pid();
    const std::ptrdiff_t before = descriptors(pid);
    {
        Crowd crowd{server.target()};
        for (int rest = 1; rest <= rests; ++rest) {
            crowd.act();
            std::this_thread::sleep_for(life_time / (rests + 1.0));
            crowd.rest();
            const auto deadline = steady_clock::now() + 10s;
            while (descriptors(pid) > before && steady_clock::now() < deadline) {
                std::this_thread::sleep_for(10ms);  // /proc can't be waited on
            }
            life.kept = std::max(life.kept, descriptors(pid) - before);
            const long kib = status_number(pid, "VmRSS");
            life.kib = rest == 1 ? kib : life.kib;
            life.growth_kib = kib - life.kib;
        }
        crowd.act();
        std::this_thread::sleep_for(life_time / (rests + 1.0));
        wait_for_much_to_lose(server.target());
        kill(pid, SIGTERM);
        server.process().wait_for_end(30s);
        crowd.rest();
        life.seen = crowd.seen();
    }
    life.exit_status = server.process().exit_status();
    life.counts = last_words(server.process());
    return life;
}

template <typename Number>
Number median(std::vector<Number> numbers) {
    std::sort(numbers.begin(), numbers.end());
    return numbers.at((numbers.size() - 1) / 2);
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t lives = 30;
    std::size_t life_seconds = 60;
    std::string name = "stage10_shutdown";
    CommandLine command_line{"Soaks the last stage's server, and ends it again and again."};
    command_line.add("--lives", lives, 1, 10'000, "from a start to a SIGTERM each");
    command_line.add("--life-seconds", life_seconds, 4, 3'600, "how long one is");
    command_line.add("--program", name, "that is soaked; it lies beside this one");
    command_line.parse(argc, argv);

    raise_descriptor_limit();
    fmt::print(
        "life   accepted   rejected   unanswered   refused   lost       p50       p99     memory  "
        " growth   kept   exit\n");
    std::vector<Life> all;
    try {
        while (all.size() < lives) {
            const Life& life = all.emplace_back(live(name, std::chrono::seconds{life_seconds}));
            fmt::print(
                "{:>4}   {:>8}   {:>8}   {:>10}   {:>7}   {:>4}   {:>4.2f} ms   {:>4.2f} ms   "
                "{:>4.1f} MB   {:>3} kB   {:>4}   {:>4}{}\n",
                all.size(), life.seen.accepted, life.seen.rejected, life.seen.unanswered,
                life.seen.refused, life.lost(), in_ms(life.seen.latency.quantile(0.5)),
                in_ms(life.seen.latency.quantile(0.99)),
                static_cast<double>(life.kib) * 1.024 / 1000, life.growth_kib, life.kept,
                life.exit_status.value_or(-1), life.held() ? "" : "   DID NOT HOLD");
            std::fflush(stdout);
        }
    } catch (const std::exception& error) {
        fail(fmt::format("no life of the server: {}", error.what()));
    }

    // The middle one of all lives, so that one that the machine disturbed is not what counts.
    std::vector<long> growths;
    std::vector<double> first;
    std::vector<double> last;
    for (std::size_t i = 0; i < all.size(); ++i) {
        growths.push_back(all[i].growth_kib);
        (i < (all.size() + 1) / 2 ? first : last)
            .push_back(in_ms(all[i].seen.latency.quantile(0.5)));
    }
    const double drift = last.empty() ? 1 : median(last) / median(first);
    const auto held = std::count_if(all.begin(), all.end(), [](const Life& l) { return l.held(); });
    const bool warm = life_seconds >= 30 && !sanitized;  // it has all the memory that it ever needs
    const bool good =
        held == std::ssize(all) && (!warm || median(growths) <= growth_kib_max) && drift < 2;
    fmt::print(
        "memory grew by {} kB in a life, p50 by {:+.0f} % from the first half to the second\n",
        median(growths), (drift - 1) * 100);
    fmt::print("verdict: {} of {} lives held{}\n", held, all.size(), good ? "" : ": NOT GOOD");
    finish_output();
    return good ? 0 : 1;
}
