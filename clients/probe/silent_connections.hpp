#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <thread>

#include "clients/probe/process.hpp"

namespace unfreeze {

/// What silent connections cost a server.
struct SilentConnections {
    std::ptrdiff_t connections = 0;
    long threads = 0;
    double kb_each = 0;  // of resident memory
    std::optional<std::chrono::microseconds> probe;
};

/// Opens so many and says nothing on any, until the server has accepted all, or for a second none.
/// Throws std::system_error where this program lacks descriptors for them.
SilentConnections open_silent_connections(ServerProcess& server, std::size_t connections);

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
