#include "stage04_state/query.hpp"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <utility>

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
        return EventError{"member 'type' must be 'balance', or be left out"};
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
    rapidjson::StringBuffer body;
    rapidjson::Writer<rapidjson::StringBuffer> writer{body};
    writer.StartObject();
    writer.Key("user");
    writer.String(user.data(), static_cast<rapidjson::SizeType>(user.size()));
    writer.Key("balance");
    writer.Int64(balance);
    writer.EndObject();
    return {.status = 200, .body = {body.GetString(), body.GetSize()}};
}

Response too_many_users_response() {
    return {.status = 503, .body = R"({"status":"rejected","reason":"too_many_users"})"};
}

Response accepted_response(std::int64_t balance) {
    return {.status = 200, .body = fmt::format(R"({{"status":"accepted","balance":{}}})", balance)};
}

}  // namespace unfreeze
