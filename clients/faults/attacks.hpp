#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace unfreeze {

/// What came of an attack.
struct Outcome {
    bool held = false;
    std::optional<std::chrono::microseconds>
        slowest;         // answer to an honest client; or one had none
    std::string figure;  // "1000 at a time, gone after 4.4 s"
};

/// What is done to a server on the open internet. It starts the server for itself, with limits that
/// make it short. `part` divides its numbers of clients: 1 is the attack at full size.
struct Attack {
    std::string_view name;
    std::string_view what;
    std::size_t first_stage;  // that holds
    Outcome (*run)(const std::string& server, std::size_t part);
};

/// All of them. They throw std::runtime_error where a server does not start, or a program is
/// missing that they need.
std::span<const Attack> all_attacks();

}  // namespace unfreeze
