#include "stage04_state/balances.hpp"

#include "common/catch.hpp"

using namespace unfreeze;

TEST_CASE("A balance saturates at the ends of its range and never wraps") {
    constexpr std::int64_t min = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
    CHECK(saturating_add(1, 2) == 3);
    CHECK(saturating_add(1, -2) == -1);
    CHECK(saturating_add(max - 1, 1) == max);
    CHECK(saturating_add(max, 1) == max);
    CHECK(saturating_add(max, max) == max);
    CHECK(saturating_add(1, max) == max);
    CHECK(saturating_add(0, max) == max);
    CHECK(saturating_add(-1, max) == max - 1);
    CHECK(saturating_add(min + 1, -1) == min);
    CHECK(saturating_add(min, -1) == min);
    CHECK(saturating_add(min, min) == min);
    CHECK(saturating_add(-1, min) == min);
    CHECK(saturating_add(0, min) == min);
    CHECK(saturating_add(1, min) == min + 1);
    CHECK(saturating_add(min, max) == -1);
    CHECK(saturating_add(max, min) == -1);
}

TEST_CASE("An unknown user's balance is 0, and the query does not add the user") {
    Balances balances;
    CHECK(balance_of(balances, "alice") == 0);
    CHECK(balances.empty());
    add_to_balance(balances, "alice", 100);
    add_to_balance(balances, "alice", -30);
    add_to_balance(balances, "bob", 1);
    CHECK(balance_of(balances, "alice") == 70);
    CHECK(balance_of(balances, "bob") == 1);
    CHECK(balances.size() == 2);
    add_to_balance(balances, "bob", std::numeric_limits<std::int64_t>::max());
    CHECK(balance_of(balances, "bob") == std::numeric_limits<std::int64_t>::max());
    add_to_balance(balances, "carol", std::numeric_limits<std::int64_t>::min());
    add_to_balance(balances, "carol", -1);
    CHECK(balance_of(balances, "carol") == std::numeric_limits<std::int64_t>::min());
}
