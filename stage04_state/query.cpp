#include "stage04_state/query.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>

namespace unfreeze {

std::variant<Event, BalanceQuery, EventError> parse_message(std::string_view json) {
    auto parsed = parse_event(json);
    if (auto* event = std::get_if<Event>(&parsed)) {
        return std::move(*event);
    }
    EventError& error = std::get<EventError>(parsed);
    if (!error.incomplete) {
        return std::move(error);
    }
    // Read a second time, which only what is no event costs. It is an object, and in order: the
    // first reading has seen to that. Iterative again, so that depth costs no stack.
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    const auto type = document.FindMember("type");
    if (type == document.MemberEnd()) {
        return std::move(error);
    }
    if (std::any_of(type + 1, document.MemberEnd(),
                    [](const auto& member) { return member.name == "type"; })) {
        return EventError{.detail = "member 'type' stands there twice"};
    }
    if (!type->value.IsString() || type->value != "balance") {
        return EventError{.detail = "member 'type' must be 'balance', or be left out"};
    }
    const auto user = document.FindMember("user");
    if (user == document.MemberEnd()) {
        return std::move(error);
    }
    return BalanceQuery{{user->value.GetString(), user->value.GetStringLength()}};
}

std::variant<Event, BalanceQuery, Response> read_message(const Request& request) {
    if (auto refusal = misdirected(request)) {
        return *std::move(refusal);
    }
    auto parsed = parse_message(request.body);
    if (const auto* error = std::get_if<EventError>(&parsed)) {
        return invalid_json(*error);
    }
    if (auto* query = std::get_if<BalanceQuery>(&parsed)) {
        return std::move(*query);
    }
    return std::get<Event>(std::move(parsed));
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

Response accepted_response(std::int64_t balance) {
    return {.status = 200, .body = fmt::format(R"({{"status":"accepted","balance":{}}})", balance)};
}

}  // namespace unfreeze
