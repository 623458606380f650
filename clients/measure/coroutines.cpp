// Measures the time and memory of coroutines and of threads, and of connections that use one or the
// other, and prints the values often claimed for coroutines beside them.
#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <asio.hpp>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <list>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "clients/measure/measurements.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/process.hpp"
#include "clients/probe/silent_connections.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/log.hpp"
#include "common/net/io.hpp"
#include "common/net/spawn.hpp"

namespace {

using namespace unfreeze;
using std::chrono::steady_clock;

// ---- time: each function repeats an operation `times` times, and returns its nanoseconds ----

/// The duration of the work, divided by the number of its operations.
template <typename Work>
double nanoseconds(std::size_t times, const Work& work) {
    const auto start = steady_clock::now();
    work();
    const std::chrono::duration<double, std::nano> took = steady_clock::now() - start;
    return took.count() / static_cast<double>(times);
}

awaitable<void> count(std::size_t& counted) {
    ++counted;
    co_return;
}

/// Spawns coroutines and runs each one to its end.
double spawn_coroutines(std::size_t times) {
    constexpr std::size_t at_a_time = 10;  // like clients that connect in groups
    asio::io_context io{1};
    std::size_t counted = 0;
    const double each = nanoseconds(times, [&] {
        while (counted < times) {
            for (std::size_t i = 0; i < at_a_time; ++i) {
                asio::co_spawn(io, count(counted), stop_on_exception);
            }
            io.run();
            io.restart();
        }
    });
    return each;
}

awaitable<void> let_others_run(std::size_t times) {
    const auto executor = co_await asio::this_coro::executor;
    for (std::size_t i = 0; i < times; ++i) {
        co_await asio::post(executor, use_awaitable);
    }
}

/// Two coroutines on one thread take turns.
double switch_coroutines(std::size_t times) {
    asio::io_context io{1};
    asio::co_spawn(io, let_others_run(times / 2), stop_on_exception);
    asio::co_spawn(io, let_others_run(times / 2), stop_on_exception);
    return nanoseconds(times, [&] { io.run(); });
}

/// A coroutine without Asio, resumed by hand.
struct Bare {
    struct promise_type {
        Bare get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
};

/// Not inlined, because clang would replace all the measured calls by an addition.
[[gnu::noinline]] Bare count_for_ever(std::size_t& counted) {
    for (;;) {
        ++counted;
        co_await std::suspend_always{};
    }
}

/// Resumes a coroutine that suspends at once, without a queue, a lock or network I/O.
double resume_bare_coroutine(std::size_t times) {
    std::size_t counted = 0;
    const Bare bare = count_for_ever(counted);
    const double each = nanoseconds(times, [&] {
        for (std::size_t i = 0; i < times; ++i) {
            bare.handle.resume();
        }
    });
    bare.handle.destroy();
    assert(counted == times);
    return each;
}

/// Starts threads one after another, and joins each one.
double spawn_threads(std::size_t times) {
    std::size_t counted = 0;
    return nanoseconds(times, [&] {
        for (std::size_t i = 0; i < times; ++i) {
            std::thread{[&] { ++counted; }}.join();
        }
    });
}

/// Two threads take turns: each waits for the other.
double switch_threads(std::size_t times) {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t turn = 0;  // an even turn is this thread's
    const auto take_turns = [&](std::size_t mine) {
        for (; mine < times; mine += 2) {
            std::unique_lock lock{mutex};
            changed.wait(lock, [&] { return turn == mine; });
            ++turn;
            changed.notify_one();
        }
    };
    return nanoseconds(times, [&] {
        const std::jthread other{[&] { take_turns(1); }};
        take_turns(0);
    });
}

/// The same on one core, so that no idle core has to wake up.
double switch_threads_on_one_core(std::size_t times) {
    cpu_set_t before;
    pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);  // the other thread inherits it
    const double each = switch_threads(times);
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    return each;
}

// ---- memory in bytes ----

/// The bytes that malloc() has handed out.
std::size_t allocated() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

awaitable<void> wait_for_timer(asio::io_context& io) {
    Timer timer{io, std::chrono::hours{1}};
    co_await timer.async_wait(use_awaitable);
}

/// Allocated memory of a waiting coroutine, with its timer.
double coroutine_memory(std::size_t coroutines) {
    asio::io_context io{1};
    const std::size_t before = allocated();
    for (std::size_t i = 0; i < coroutines; ++i) {
        asio::co_spawn(io, wait_for_timer(io), stop_on_exception);
    }
    io.poll();  // all of them wait now
    return static_cast<double>(allocated() - before) / static_cast<double>(coroutines);
}

/// Resident memory of a waiting thread, without its kernel stack.
double thread_memory(std::size_t threads) {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::size_t waiting = 0;
    const long kib_before = status_number(getpid(), "VmRSS");
    std::list<std::jthread> all;
    for (std::size_t i = 0; i < threads; ++i) {
        all.emplace_back([&](const std::stop_token& stop) {
            std::unique_lock lock{mutex};
            ++waiting;
            changed.notify_all();
            changed.wait(lock, stop, [] { return false; });
        });
    }
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return waiting == threads; });
    const long kib = status_number(getpid(), "VmRSS") - kib_before;
    return static_cast<double>(kib) * 1024 / static_cast<double>(threads);
}

// ---- the table ----

/// Prints a row and writes it to the file. `claimed` is empty if there is no claim.
void print_row(std::FILE* csv, std::string_view what, double measured, std::string_view unit,
               std::string_view claimed = {}) {
    const int digits = measured < 100 ? 1 : 0;
    const std::string row = fmt::format("{:<50}   {:>9.{}f} {}", what, measured, digits, unit);
    fmt::print("{}\n", claimed.empty() ? row
                                       : fmt::format("{:<68}   {:>15}", row,
                                                     fmt::format("{} {}", claimed, unit)));
    std::fflush(stdout);
    fmt::print(csv, "{},{:.{}f},{},{}\n", what, measured, digits, claimed, unit);
}

/// An operation, measured in several rounds.
struct Timed {
    std::string_view what;
    double (*measure)(std::size_t times);
    std::size_t times;
    std::string_view claimed_ns = {};
    std::vector<double> nanoseconds = {};
};

void measure_times(std::size_t rounds, std::size_t divide, std::FILE* csv) {
    std::vector<Timed> all{
        {"spawn a coroutine and run it", spawn_coroutines, 500'000, "300"},
        {"switch between coroutines", switch_coroutines, 1'000'000, "50"},
        {"resume a coroutine without Asio", resume_bare_coroutine, 10'000'000},
        {"start and join a thread", spawn_threads, 5'000},
        {"switch between threads", switch_threads, 20'000},
        {"switch between threads on one core", switch_threads_on_one_core, 20'000}};
    // Each round measures all operations, so that other activity on the machine affects all alike.
    for (std::size_t round = 0; round < rounds; ++round) {
        for (Timed& timed : all) {
            timed.nanoseconds.push_back(timed.measure(timed.times / divide));
        }
    }
    for (Timed& timed : all) {
        std::sort(timed.nanoseconds.begin(), timed.nanoseconds.end());
        print_row(csv, timed.what, timed.nanoseconds[rounds / 2], "ns", timed.claimed_ns);
    }
}

/// Opens idle connections to a server, then sends a request.
void measure_server(std::string_view name, const Command& command, std::size_t connections,
                    std::string_view claimed, std::FILE* csv) {
    ServerProcess server{command};
    const SilentConnections held = open_silent_connections(server, connections);
    print_row(csv, fmt::format("{}: idle connections", name), static_cast<double>(held.connections),
              "open", claimed);
    print_row(csv, fmt::format("{}: memory of each", name), 1e3 * held.kb_each, "bytes");
    if (!held.probe) {
        throw std::runtime_error{fmt::format("{} did not answer beside idle connections", name)};
    }
    print_row(csv, fmt::format("{}: response time beside them", name), in_ms(*held.probe), "ms");
}

void measure_costs(std::size_t rounds, std::size_t divide, std::size_t descriptors_max,
                   std::FILE* csv) {
    constexpr std::size_t connections_claimed = 100'000;
    constexpr std::size_t threads_max = 10'000;  // machines limit their number
    constexpr std::size_t others = 200;          // other descriptors of a process
    const std::size_t connections =
        std::min(descriptors_max - std::min(descriptors_max, others), connections_claimed) / divide;
    fmt::print("{:<50}   {:>15}   {:>15}\n", "", "measured", "claimed");
    fmt::print(csv, "what,measured,claimed,unit\n");
    // Memory first, because malloc() keeps freed memory for reuse.
    const double coroutine = coroutine_memory(100'000 / divide);
    const double thread = thread_memory(1'000 / divide);
    measure_times(rounds, divide, csv);
    print_row(csv, "memory of a waiting coroutine", coroutine, "bytes", "1000-2000");
    print_row(csv, "memory of a waiting thread", thread, "bytes");
    measure_server(
        "stage10_shutdown",
        our_server("stage10_shutdown", fmt::format("--connections-max {}", connections + others)),
        connections, "100000", csv);
    measure_server("thread_per_connection", our_server("thread_per_connection"),
                   std::min(connections, threads_max / divide), "", csv);
}

}  // namespace

int main(int argc, char** argv) {
    std::string file = "/dev/null";
    std::size_t rounds = 7;
    std::size_t divide = 1;
    CommandLine command_line{
        "Measures the time and memory of coroutines, threads and connections."};
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--rounds", rounds, 1, 100, "of each timing, whose median counts");
    command_line.add("--divide", divide, 1, 100, "repeat everything this many times less often");
    command_line.parse(argc, argv);
    const std::size_t descriptors_max = raise_descriptor_limit();
    std::FILE* const csv = open_csv(file);
    try {
        measure_costs(rounds, divide, descriptors_max, csv);
    } catch (const std::exception& error) {
        fail(fmt::format("no figures: {}", error.what()));
    }
    close_csv(csv, file);
    finish_output();
}
