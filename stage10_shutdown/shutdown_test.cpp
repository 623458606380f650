#include "stage10_shutdown/shutdown.hpp"

#include <signal.h>
#include <unistd.h>

#include <future>

#include "clients/probe/black_box.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

bool stops_within(const std::stop_token& stop, std::chrono::milliseconds patience) {
    const auto deadline = steady_clock::now() + patience;
    while (!stop.stop_requested() && steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    return stop.stop_requested();
}

}  // namespace

TEST_CASE("The first signal ends the wait, and the second one requests a stop") {
    const auto [first, second] = GENERATE(table<int, int>(
        {{SIGINT, SIGINT}, {SIGINT, SIGTERM}, {SIGTERM, SIGINT}, {SIGTERM, SIGTERM}}));
    Shutdown shutdown;
    auto first_signal = std::async(std::launch::async, [&] { return shutdown.wait(); });
    CHECK(first_signal.wait_for(20ms) == std::future_status::timeout);
    const auto start = steady_clock::now();
    kill(getpid(), first);
    REQUIRE(first_signal.wait_for(5s) == std::future_status::ready);
    CHECK(first_signal.get() >= start);
    CHECK(!stops_within(shutdown.second(), 20ms));
    kill(getpid(), second);  // ignored as a duplicate, unless this thread was paused for long
    const bool at_once = stops_within(shutdown.second(), 20ms);
    CHECK((!at_once || steady_clock::now() >= start + Shutdown::duplicate_window));
    const auto deadline = steady_clock::now() + 10s;
    while (!stops_within(shutdown.second(), 20ms) && steady_clock::now() < deadline) {
        kill(getpid(), second);
    }
    CHECK(shutdown.second().stop_requested());
    CHECK(steady_clock::now() >= start + Shutdown::duplicate_window);
}

TEST_CASE("A duplicate signal does not change the exit status of a server that has drained") {
    ServerProcess server{server_command("stage10_shutdown")};
    const pid_t pid = server.process().pid();
    kill(pid, SIGTERM);
    while (!server.process().wait_for_end(0ms)) {
        kill(pid, SIGINT);
        kill(pid, SIGTERM);
    }
    CHECK(server.process().exit_status() == 0);
}

TEST_CASE("Signals do not interrupt threads that start after Shutdown") {
    Shutdown shutdown;
    std::promise<void> release;
    std::jthread other{[&] { release.get_future().wait(); }};
    pthread_kill(other.native_handle(), SIGTERM);
    kill(getpid(), SIGTERM);
    shutdown.wait();
    release.set_value();
}

TEST_CASE("The final responses have a second, or less if the deadline is sooner") {
    const auto now = steady_clock::now();
    CHECK(flush_deadline(now) == now);
    CHECK(flush_deadline(now + 1h) >= now + 1s);
    CHECK(flush_deadline(now + 1h) < now + 10s);
}
