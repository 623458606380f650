#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <thread>

#include "clients/probe/connection.hpp"
#include "clients/probe/process.hpp"

namespace unfreeze {

/// The cost of idle connections to a server.
struct SilentConnections {
    std::ptrdiff_t connections = 0;
    long threads = 0;
    double kb_each = 0;  // of resident memory
    std::optional<std::chrono::microseconds> probe;
};

/// Opens connections and sends nothing. Measures once the server has accepted them all, or has
/// accepted none for a second. Throws std::system_error if this program runs out of descriptors.
[[nodiscard]] SilentConnections open_silent_connections(ServerProcess& server,
                                                        std::size_t connections);

/// Polls a number until it is `wanted`, or has not changed for a second. Returns its last value.
template <typename Number>
auto wait_for(Number number, std::ptrdiff_t wanted) {
    using namespace std::chrono_literals;
    using std::chrono::steady_clock;
    auto last = number();
    auto last_change = steady_clock::now();
    while (last != wanted && steady_clock::now() < last_change + 1s) {
        std::this_thread::sleep_for(10ms);  // /proc can only be polled
        const auto now = number();
        last_change = now == last ? last_change : steady_clock::now();
        last = now;
    }
    return last;
}

}  // namespace unfreeze
