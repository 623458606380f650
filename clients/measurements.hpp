#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "clients/process.hpp"

// Controlled experiments on this course's own servers: one thing is changed at a time, everything
// is measured from outside or read from what the server prints, and every row goes into a CSV file.
// Each prints a table for people meanwhile, and throws std::runtime_error where it gets no figures.
namespace unfreeze {

struct MeasureOptions {
    std::size_t seconds = 5;                 // to measure, for each row ...
    std::chrono::milliseconds work_ms{100};  // ... and what its work takes, ...
    std::chrono::milliseconds hold_ms{10};   // ... on either side of the lock: of locks alone
    std::size_t rows = 1'000;                // to measure at most, the first ones
};

// Of locks: more and more workers; the three things that once were changed together; and from one
// lock to one for each user.
void measure_contention(const MeasureOptions& options, std::FILE* csv);
void measure_sharding(const MeasureOptions& options, std::FILE* csv);
void measure_levels(const MeasureOptions& options, std::FILE* csv);

// Of servers: what each of the first five answers under its load; how long one waits in a queue,
// and what its places cost; what more workers bring; and who answers beside silent clients.
void measure_stages(const MeasureOptions& options, std::FILE* csv);
void measure_queue(const MeasureOptions& options, std::FILE* csv);
void measure_workers(const MeasureOptions& options, std::FILE* csv);
void measure_freeze(const MeasureOptions& options, std::FILE* csv);
void measure_connections(const MeasureOptions& options, std::FILE* csv);

/// Starts one of this course's servers, which lie beside this program, on a free port.
Command our_server(std::string_view server, std::string_view flags = "");

/// What silent connections cost a server.
struct Held {
    std::ptrdiff_t connections = 0;
    long threads = 0;
    double kb_each = 0;  // of resident memory
    std::optional<std::chrono::microseconds> probe;
};

/// Opens so many and says nothing on any, until the server has accepted all, or for a second none.
/// Throws std::system_error where this program lacks descriptors for them.
Held hold_silent(ServerProcess& server, std::size_t connections);

/// Waits for a number to reach `wanted`, as long as it changes every second; what it is then.
template <typename Number>
auto wait_for(Number number, std::ptrdiff_t wanted) {
    using namespace std::chrono_literals;
    using std::chrono::steady_clock;
    auto last = number();
    auto last_change = steady_clock::now();
    while (last != wanted && steady_clock::now() < last_change + 1s) {
        std::this_thread::sleep_for(10ms);  // /proc can't be waited on
        const auto now = number();
        last_change = now == last ? last_change : steady_clock::now();
        last = now;
    }
    return last;
}

/// Of an unknown number of seconds, milliseconds or microseconds.
template <typename Duration>
double in_ms(Duration duration) {
    return std::chrono::duration<double, std::milli>{duration}.count();
}

}  // namespace unfreeze
