#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/http/message.hpp"
#include "common/json.hpp"
#include "stage04_state/balances.hpp"
#include "stage04_state/query.hpp"
#include "stage05_backpressure/bounded_queue.hpp"

namespace unfreeze {

/// 202: the event is in the queue.
inline Response accepted_response() { return {.status = 202, .body = R"({"status":"accepted"})"}; }

/// 503: the server did nothing and will do nothing; the client may retry after a second.
inline Response rejected_response(std::string_view reason) {
    return {.status = 503,
            .body = JsonObject{}.add("status", "rejected").add("reason", reason).text(),
            .fields = "Retry-After: 1\r\n"};
}

/// 503 during the graceful shutdown of stage 10, which also closes the connection.
inline Response shutting_down_response() {
    Response response = rejected_response("shutting_down");
    response.close = true;
    return response;
}

/// The response to an event after try_push().
inline Response push_response(PushStatus pushed) {
    switch (pushed) {
        case PushStatus::success: return accepted_response();
        case PushStatus::full: return rejected_response("server_busy");
        case PushStatus::closed: break;
    }
    return shutting_down_response();
}

/// How long a balance query may wait for a lock. All connections of its thread wait meanwhile.
constexpr std::chrono::milliseconds query_wait_max{1'000};

/// After a query's wait has failed, the thread's next queries do not wait until this moment.
/// Otherwise each query of one client could stop the thread for a second.
inline std::chrono::steady_clock::time_point& queries_wait_from() {
    thread_local std::chrono::steady_clock::time_point moment;
    return moment;
}

/// Called before a query may wait for a lock. For stage 6, whose I/O threads have wake-ups to send.
inline thread_local void (*before_query_wait)() = [] {};

/// How long the calling thread's next query may wait. Call it right before the wait.
inline std::chrono::milliseconds query_wait() {
    before_query_wait();
    return std::chrono::steady_clock::now() < queries_wait_from() ? std::chrono::milliseconds{0}
                                                                  : query_wait_max;
}

/// The balance, or 503 if another thread held its lock for too long.
inline Response balance_response(const std::string& user, std::optional<std::int64_t> balance) {
    if (balance) {
        return balance_response(user, *balance);
    }
    const auto now = std::chrono::steady_clock::now();
    if (now >= queries_wait_from()) {
        queries_wait_from() = now + query_wait_max;
    }
    return rejected_response("server_busy");
}

/// The balance that the mutex guards, or 503 if another thread holds the mutex for too long.
inline Response balance_response(const std::string& user, const Balances& balances,
                                 std::timed_mutex& mutex) {
    const std::unique_lock lock{mutex, query_wait()};
    return balance_response(user, lock ? std::optional{balance_of(balances, user)} : std::nullopt);
}

}  // namespace unfreeze
