#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "clients/target.hpp"

namespace unfreeze {

/// A user that nobody else uses. Its balance shows from outside what has become of the events sent
/// in its name: an accepted event is one thing, an event that has been worked on another.
class Account {
public:
    explicit Account(const Target& target);

    /// The body of an event that adds so much.
    std::string event(std::int64_t amount) const;

    /// What the server says; nothing where it tells no balances, as before stage 4.
    std::optional<std::int64_t> balance() const;

    /// Waits for the balance as long as it is underway, and gives the last one seen: the wait ends
    /// too when nothing has changed for `patience`.
    std::optional<std::int64_t> wait_for(std::int64_t balance,
                                         std::chrono::milliseconds patience = default_patience);

    static constexpr std::chrono::milliseconds default_patience{3'000};

private:
    Target target_;
    std::string user_;
};

/// Waits until an event gets in and has been worked on, and with it all that was accepted before,
/// but for what other workers have in hand. False where that takes longer than `patience`, or where
/// no balances are told.
bool wait_until_idle(const Target& target, std::chrono::milliseconds patience);

/// How long an event takes from its sending until it shows in the balance, on an idle server: the
/// work's own time. Nothing where it never does.
std::optional<std::chrono::microseconds> time_one_event(const Target& target);

}  // namespace unfreeze
