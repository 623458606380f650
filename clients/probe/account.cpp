#include "clients/probe/account.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string_view>
#include <thread>

#include "clients/probe/connection.hpp"
#include "clients/probe/json_members.hpp"
#include "clients/probe/load.hpp"
#include "common/json.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// The time between two balance queries: a balance can only be polled.
constexpr auto poll_interval = 2ms;

std::string random_name() {
    std::random_device random;
    return fmt::format("account-{:08x}{:08x}", random(), random());
}

}  // namespace

Account::Account(const Target& target, std::size_t users) : target_{target} {
    while (users_.size() < users) {
        users_.push_back(random_name());
    }
}

Account::Account(const Target& target, std::string_view name_end)
    : target_{target}, users_{random_name() + std::string{name_end}} {}

std::string Account::query(std::string_view user, std::string_view fields) {
    return post(JsonObject{}.add("type", "balance").add("user", user).text(), fields);
}

std::string Account::event(std::int64_t amount, std::size_t n) const {
    return JsonObject{}
        .add("user", users_[n % users_.size()])
        .add("action", "buy")
        .add("amount", amount)
        .text();
}

std::optional<std::int64_t> Account::balance() const {
    std::int64_t sum = 0;
    for (const std::string& user : users_) {
        const auto balance = balance_of(target_, user);
        if (!balance) {
            return std::nullopt;
        }
        sum += *balance;
    }
    return sum;
}

std::optional<std::int64_t> balance_of(const Target& target, std::string_view user) {
    const std::string query = Account::query(user, "Connection: close\r\n");
    const auto deadline = steady_clock::now() + Account::default_timeout;
    std::optional<ReceivedResponse> response;
    do {  // 503: another request held the lock for too long
        Connection connection{target};
        connection.send(query);
        response = connection.receive(Account::default_timeout);
    } while (status_of(response) == 503 && steady_clock::now() < deadline);
    if (status_of(response) == 404) {
        return 0;
    }
    const auto body = JsonMembers::parse(response ? response->body : "");
    return body ? body->integer("balance") : std::nullopt;
}

std::optional<std::int64_t> Account::wait_for(std::int64_t balance,
                                              std::chrono::milliseconds timeout) {
    auto last = this->balance();
    auto changed = steady_clock::now();
    while (last && *last != balance && steady_clock::now() < changed + timeout) {
        std::this_thread::sleep_for(poll_interval);
        const auto now = this->balance();
        changed = now == last ? changed : steady_clock::now();
        last = now;
    }
    return last;
}

bool wait_until_idle(const Target& target, std::chrono::milliseconds timeout) {
    const auto deadline = steady_clock::now() + timeout;
    Account account{target};
    bool accepted = false;
    while (account.balance() && !accepted && steady_clock::now() < deadline) {
        Connection connection{target};
        connection.send(post(account.event(1)));
        const auto response = connection.receive(timeout);
        accepted = response && response->status / 100 == 2;
        std::this_thread::sleep_for(accepted ? 0ms : poll_interval);
    }
    return accepted && account.wait_for(1, timeout) == 1;
}

std::optional<std::chrono::microseconds> time_one_event(const Target& target) {
    constexpr auto timeout = 1min;
    constexpr std::chrono::microseconds short_work = 20ms;
    if (!wait_until_idle(target, timeout)) {
        return std::nullopt;
    }
    std::optional<std::chrono::microseconds> fastest;
    for (int i = 0; i < 3 && (!fastest || *fastest < short_work); ++i) {
        const auto start = steady_clock::now();
        if (!wait_until_idle(target, timeout)) {
            return std::nullopt;
        }
        const auto took =
            std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - start);
        fastest = std::min(took, fastest.value_or(took));
    }
    return fastest;
}

Burst run_burst(const Target& target, const BurstOptions& options) {
    Account account{target, options.users};
    const auto start = steady_clock::now();
    const LoadReport load =
        run_load(target, {.requests = options.events,
                          .concurrency = options.events,
                          .timeout_ms = options.timeout,
                          .body = [&](std::size_t n) { return account.event(1, n); }});
    Burst burst{.accepted = static_cast<std::int64_t>(load.accepted)};
    burst.done = account.wait_for(burst.accepted, options.timeout) == burst.accepted;
    burst.took = steady_clock::now() - start;
    return burst;
}

}  // namespace unfreeze
