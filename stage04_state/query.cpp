#include "stage04_state/query.hpp"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <utility>

namespace unfreeze {

std::variant<Event, BalanceQuery, EventError> message_from(Members members) {
    if (!members.type || members.whole()) {
        auto event = event_from(std::move(members));
        if (auto* error = std::get_if<EventError>(&event)) {
            return std::move(*error);
        }
        return std::get<Event>(std::move(event));
    }
    if (members.type_twice) {
        return EventError{"member 'type' stands there twice"};
    }
    if (members.type != "balance") {
        return EventError{"member 'type' must be 'balance', or be left out"};
    }
    if (!members.user) {
        return EventError{"member 'user' is missing"};
    }
    return BalanceQuery{*std::move(members.user)};
}

std::variant<Event, BalanceQuery, Response> read_message(const Request& request, UserLimit& users) {
    if (auto refusal = misdirected(request)) {
        return *std::move(refusal);
    }
    auto parsed = parse_members(request.body);
    if (const auto* error = std::get_if<EventError>(&parsed)) {
        return invalid_json(*error);
    }
    return read_message(std::get<Members>(std::move(parsed)), users);
}

std::variant<Event, BalanceQuery, Response> read_message(Members members, UserLimit& users) {
    auto message = message_from(std::move(members));
    if (const auto* error = std::get_if<EventError>(&message)) {
        return invalid_json(*error);
    }
    if (auto* query = std::get_if<BalanceQuery>(&message)) {
        return std::move(*query);
    }
    Event& event = std::get<Event>(message);
    if (!users.admit(event.user)) {
        return too_many_users_response();
    }
    return std::move(event);
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
