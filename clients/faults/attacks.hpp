#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace unfreeze {

/// The result of an attack.
struct Outcome {
    bool passed = false;

    /// The longest response time of an honest client during the attack; empty if a response was
    /// missing.
    std::optional<std::chrono::microseconds> slowest;

    std::string figure;  // "1000 open at most, all closed after 4.4 s"
};

/// Starts a server, with short limits so that the attack is short, and treats it as hostile clients
/// on the internet do. `part` divides the number of clients: 1 is the attack at full size.
struct Attack {
    std::string_view name;
    std::string_view description;
    std::size_t first_stage;  // the first stage that passes
    Outcome (*run)(const std::string& server, std::size_t part);
};

/// All attacks. They throw std::runtime_error if the server does not start, or if a program that
/// they need is not installed.
[[nodiscard]] std::span<const Attack> all_attacks();

}  // namespace unfreeze
