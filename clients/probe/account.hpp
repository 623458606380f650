#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/probe/target.hpp"

namespace unfreeze {

/// A user that nobody else uses, or several. The balance, or their sum, shows from outside what has
/// become of the events sent in their name: an accepted event is one thing, an event that has been
/// worked on another.
class Account {
public:
    explicit Account(const Target& target, std::size_t users = 1);

    /// The body of an event that adds so much for the n-th user, or, as they take turns, for a
    /// further one.
    std::string event(std::int64_t amount, std::size_t n = 0) const;

    /// What the server says; nothing where it tells no balances, as before stage 4.
    std::optional<std::int64_t> balance() const;

    /// Waits for the balance as long as it is underway, and gives the last one seen: the wait ends
    /// too when nothing has changed for `patience`.
    std::optional<std::int64_t> wait_for(std::int64_t balance,
                                         std::chrono::milliseconds patience = default_patience);

    static constexpr std::chrono::milliseconds default_patience{3'000};

private:
    std::optional<std::int64_t> balance_of(const std::string& user) const;

    Target target_;
    std::vector<std::string> users_;
};

/// Waits until an event gets in and has been worked on, and with it all that was accepted before,
/// but for what other workers have in hand. False where that takes longer than `patience`, or where
/// no balances are told.
bool wait_until_idle(const Target& target, std::chrono::milliseconds patience);

/// How long an event takes from its sending until it shows in the balance, on an idle server: the
/// work's own time. Nothing where it never does.
std::optional<std::chrono::microseconds> time_one_event(const Target& target);

/// What became of events that were all sent at once.
struct Burst {
    std::int64_t accepted = 0;
    bool done = false;                      // all that were accepted, in time
    std::chrono::duration<double> took{0};  // seconds, from the first sent to the last done
};

/// Sends so many events at once, of users that take turns, and waits for what is accepted to be
/// worked on as long as something is, and `patience` beyond.
Burst run_burst(const Target& target, std::size_t events, std::size_t users = 1,
                std::chrono::milliseconds patience = Account::default_patience);

}  // namespace unfreeze
