#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>

namespace unfreeze {

/// Who has how much. Nobody is ever forgotten, so it grows with the number of users.
using Balances = std::unordered_map<std::string, std::int64_t>;

/// A user's balance: 0 for one never heard of, who is not remembered for being asked about.
inline std::int64_t balance_of(const Balances& balances, const std::string& user) {
    const auto found = balances.find(user);
    return found == balances.end() ? 0 : found->second;
}

/// The sum, or the end of the range that it would pass: a balance never wraps round.
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

/// Adds to a user's balance, who starts with 0, and gives the sum.
inline std::int64_t add_to_balance(Balances& balances, const std::string& user,
                                   std::int64_t amount) {
    std::int64_t& balance = balances[user];
    balance = saturating_add(balance, amount);
    return balance;
}

}  // namespace unfreeze
