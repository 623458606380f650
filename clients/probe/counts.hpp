#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "clients/probe/connection.hpp"
#include "clients/probe/process.hpp"

namespace unfreeze {

/// What a server tells of its events.
struct Counts {
    std::uint64_t received = 0;
    std::uint64_t processed = 0;
    std::uint64_t dropped = 0;
    std::uint64_t pending = 0;

    bool add_up() const { return received == processed + dropped + pending; }
};

/// Reads the four numbers wherever they stand last in a text, each behind its name and a sign or
/// two: "received":7 or received=7. Nothing where one is missing.
std::optional<Counts> find_counts(std::string_view text);

/// Asks the server for them; nothing where it has none to tell.
std::optional<Counts> ask_for_counts(Connection& connection);

/// What a server has told of them last, once it has ended.
std::optional<Counts> last_words(Process& server);

std::string to_text(const Counts& counts);

}  // namespace unfreeze
