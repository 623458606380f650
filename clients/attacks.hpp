#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "clients/claims.hpp"

namespace unfreeze {

/// What is done to a server on the open internet: a sentence that has to be true of it all the
/// while, and an attack that starts the server for itself, with limits that make it short. `part`
/// divides its numbers of clients: 1 is the attack at full size.
struct Attack {
    std::string_view name;
    std::string_view sentence;
    std::size_t first_stage;  // it holds from here on
    Finding (*run)(const std::string& server, std::size_t part);
};

/// All of them. They throw std::runtime_error where a server does not start, or a program is
/// missing that they need.
std::span<const Attack> all_attacks();

}  // namespace unfreeze
