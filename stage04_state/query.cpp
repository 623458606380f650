#include "stage04_state/query.hpp"

#include <utility>

#include "common/json.hpp"
#include "common/variant.hpp"

namespace unfreeze {

std::variant<Event, BalanceQuery, EventError> message_from(Members members) {
    using Message = std::variant<Event, BalanceQuery, EventError>;
    if (!members.type || members.is_event()) {
        return widen<Message>(event_from(std::move(members)));
    }
    if (members.duplicate_type) {
        return EventError{"duplicate member 'type'"};
    }
    if (members.type != "balance") {
        return EventError{"unknown 'type' of query"};
    }
    if (!members.user) {
        return EventError{"member 'user' is missing"};
    }
    return BalanceQuery{*std::move(members.user)};
}

std::variant<Event, BalanceQuery, Response> route(const Request& request, UserLimit& users) {
    auto body = read_body(request);
    if (auto* refusal = std::get_if<Response>(&body)) {
        return std::move(*refusal);
    }
    return route(std::get<Members>(std::move(body)), users);
}

std::variant<Event, BalanceQuery, Response> route(Members members, UserLimit& users) {
    using Result = std::variant<Event, BalanceQuery, Response>;
    return std::visit(
        Overloaded{
            [&](Event&& event) -> Result {
                if (!users.admit(event.user)) {
                    return too_many_users_response();
                }
                return std::move(event);
            },
            [](BalanceQuery&& query) -> Result { return std::move(query); },
            [](const EventError& error) -> Result { return invalid_json_response(error); },
        },
        message_from(std::move(members)));
}

Response balance_response(const std::string& user, std::int64_t balance) {
    return {.body = JsonObject{}.add("user", user).add("balance", balance).text()};
}

Response too_many_users_response() {
    return {.status = 503, .body = R"({"status":"rejected","reason":"too_many_users"})"};
}

Response accepted_response(std::int64_t balance) {
    return {.body = JsonObject{}.add("status", "accepted").add("balance", balance).text()};
}

}  // namespace unfreeze
