#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "common/command_line.hpp"
#include "stage04_state/name_hash.hpp"

namespace unfreeze {

struct StateOptions {
    std::chrono::milliseconds work_ms{500};  // for the work on one event
    std::size_t users_max = 100'000;         // users with a balance
};

inline void add_options(CommandLine& command_line, StateOptions& options) {
    command_line.add("--work-ms", options.work_ms, "time for the work on one event");
    command_line.add("--users-max", options.users_max, 1, 10'000'000, "users with a balance");
}

/// Each user's balance. No user is removed; UserLimit bounds their number.
using Balances = std::unordered_map<std::string, std::int64_t, NameHash, std::equal_to<>>;

/// A user's balance; 0 for an unknown user, which is not added to the map.
inline std::int64_t balance_of(const Balances& balances, std::string_view user) {
    const auto found = balances.find(user);
    return found == balances.end() ? 0 : found->second;
}

/// The sum, limited to the ends of the range, so that a balance never wraps.
constexpr std::int64_t saturating_add(std::int64_t balance, std::int64_t amount) {
    using limits = std::numeric_limits<std::int64_t>;
    if (amount > 0 && balance > limits::max() - amount) {
        return limits::max();
    }
    if (amount < 0 && balance < limits::min() - amount) {
        return limits::min();
    }
    return balance + amount;
}

/// Adds to a user's balance, which starts at 0, and returns the sum.
inline std::int64_t add_to_balance(Balances& balances, const std::string& user,
                                   std::int64_t amount) {
    std::int64_t& balance = balances[user];
    balance = saturating_add(balance, amount);
    return balance;
}

/// Bounds the number of users. It has its own lock, which it holds for one look-up, so admission
/// never waits for work on other events. Any thread may call it. A user stays admitted even if the
/// queue then refuses the event.
class UserLimit {
public:
    /// Reserves space for all users, because growing would move all of them under the lock.
    explicit UserLimit(std::size_t users_max) : users_max_{users_max} { users_.reserve(users_max); }

    /// Admits the user if the limit allows one more. Returns whether the user is admitted, now or
    /// earlier.
    [[nodiscard]] bool admit(const std::string& user) {
        const std::lock_guard lock{mutex_};
        return users_.contains(user) || (users_.size() < users_max_ && users_.insert(user).second);
    }

private:
    const std::size_t users_max_;
    std::mutex mutex_;  // guards the users
    std::unordered_set<std::string, NameHash, std::equal_to<>> users_;
};

}  // namespace unfreeze
