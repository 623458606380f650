#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "clients/probe/process.hpp"

namespace unfreeze {

/// Records what the connections to one server sent and received. Connections and loads write to it
/// if their Target names it. Any thread may do so.
class Conversation {
public:
    enum class Event { connected, refused, sent, received, ended, closed, reset, timed_out, left };

    /// Returns the number of a new connection, from 1.
    std::size_t open();

    /// Keeps the beginning of `bytes`. Consecutive pieces of one direction become one entry.
    void record(std::size_t connection, Event event, std::string_view bytes = {});

    /// The entries in the order of their times, with the server's output between them if `server`
    /// is given. Each line has at most 80 columns, and bytes other than printable ASCII are
    /// escaped. At most `connections_max` connections are shown.
    [[nodiscard]] std::string text(const Process* server, std::size_t connections_max) const;

private:
    struct Entry {
        std::chrono::steady_clock::time_point time;
        std::size_t connection = 0;
        Event event = Event::connected;
        std::string bytes = {};
        std::size_t size = 0;    // of all the bytes
        std::size_t pieces = 1;  // that they came in
    };

    mutable std::mutex mutex_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::size_t connections_ = 0;
    std::vector<Entry> entries_;
    std::size_t not_kept_ = 0;
};

/// The bytes as printable ASCII: \r, \n, \t and \xNN stand for others.
[[nodiscard]] std::string escaped(std::string_view bytes);

}  // namespace unfreeze
