#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/probe/target.hpp"

namespace unfreeze {

/// The balance of a user, or nothing if the server does not report it.
[[nodiscard]] std::optional<std::int64_t> balance_of(const Target& target, std::string_view user);

/// One user or several, which no other client uses. A client sees only from their balance which of
/// the accepted events the server has processed.
class Account {
public:
    explicit Account(const Target& target, std::size_t users = 1);

    /// One user, whose name ends with this text.
    Account(const Target& target, std::string_view name_end);

    [[nodiscard]] const std::string& user() const { return users_.front(); }

    /// The bytes of a balance query for a user.
    [[nodiscard]] static std::string query(std::string_view user, std::string_view fields = {});

    /// The body of an event that adds `amount` to the balance. If there are several users, event n
    /// is for user n modulo their number.
    [[nodiscard]] std::string event(std::int64_t amount, std::size_t n = 0) const;

    /// The sum of the users' balances, or nothing if the server does not report balances, as
    /// stages 1 to 3 do not. A 404 counts as 0, because a server need not know every user.
    [[nodiscard]] std::optional<std::int64_t> balance() const;

    /// Polls until the balance is the given one, or has not changed for `timeout`. Returns its last
    /// value.
    std::optional<std::int64_t> wait_for(std::int64_t balance,
                                         std::chrono::milliseconds timeout = default_timeout);

    static constexpr std::chrono::milliseconds default_timeout{3'000};

private:
    Target target_;
    std::vector<std::string> users_;
};

/// Sends an event until the server accepts it, and waits until it is processed. By then all events
/// accepted earlier are processed, or in progress in other workers. Returns false if that takes
/// longer than `timeout`, or if the server does not report balances.
bool wait_until_idle(const Target& target, std::chrono::milliseconds timeout);

/// The time from sending an event to an idle server until it shows in the balance, which is the
/// duration of the work. Takes the shortest of three times if it is short, because other activity
/// on the machine only adds to it. Returns nothing if it never shows.
[[nodiscard]] std::optional<std::chrono::microseconds> time_one_event(const Target& target);

/// Events to send at once.
struct BurstOptions {
    std::size_t events = 1;
    std::size_t users = 1;  // the events go to the users in turn
    std::chrono::milliseconds timeout = Account::default_timeout;
};

struct Burst {
    std::int64_t accepted = 0;
    bool done = false;                      // all accepted events were processed in time
    std::chrono::duration<double> took{0};  // seconds, from the first send to the last event done
};

/// Sends the events, and waits until all accepted ones are processed, or until none has been
/// processed for the timeout.
[[nodiscard]] Burst run_burst(const Target& target, const BurstOptions& options);

}  // namespace unfreeze
