#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "clients/probe/connection.hpp"
#include "clients/probe/process.hpp"

namespace unfreeze {

/// A server's counters of its events.
struct Counts {
    std::uint64_t received = 0;
    std::uint64_t processed = 0;
    std::uint64_t dropped = 0;
    std::uint64_t pending = 0;

    bool add_up() const { return received == processed + dropped + pending; }
};

/// Finds the last occurrence of each counter in a text: "received":7 or received=7. Returns nothing
/// if one is missing.
[[nodiscard]] std::optional<Counts> find_counts(std::string_view text);

/// Queries the server for its counters. Returns nothing if it reports none.
[[nodiscard]] std::optional<Counts> ask_for_counts(Connection& connection);

/// The last counters that a server printed before it exited.
[[nodiscard]] std::optional<Counts> final_counts(Process& server);

[[nodiscard]] std::string to_text(const Counts& counts);

}  // namespace unfreeze
