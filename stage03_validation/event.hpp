#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/http/message.hpp"

namespace unfreeze {

/// What a client sends to be worked on: {"user":"alice","action":"buy","amount":100}.
struct Event {
    std::string user;
    std::string action;
    std::int64_t amount = 0;
};

/// Why a body is not an event: names the member, or the byte offset of the first JSON error. It has
/// no quotation marks and repeats nothing that the client sent, so it needs no escaping in JSON.
struct EventError {
    std::string detail;

    bool operator==(const EventError&) const = default;
};

/// The limit for an event's user and for its action, because the server keeps them.
constexpr std::size_t member_bytes_max = 256;

/// The members of a body that decide what it asks for, as far as they are present.
struct Members {
    std::optional<std::string> user;
    std::optional<std::string> action;
    std::optional<std::int64_t> amount;
    std::optional<std::string> type;  // for the queries of stage 4; empty if it is not a string
    bool duplicate_type = false;

    /// Whether these are all the members of an event. Further members do not matter.
    bool is_event() const { return user && action && amount; }

    bool operator==(const Members&) const = default;
};

/// Parses a JSON object (RFC 8259) in UTF-8. The members may come in any order, and those of an
/// event only once. Further members are ignored. Deep nesting can't overflow the stack.
std::variant<Members, EventError> parse_members(std::string_view json);

/// The same with the slower reader, which alone can take any text. For tests: parse_members() uses
/// a quicker one for short, plain texts.
std::variant<Members, EventError> parse_members_strictly(std::string_view json);

/// The event that has these members, or an error that names the first missing one.
std::variant<Event, EventError> event_from(Members members);

/// Both steps in one.
std::variant<Event, EventError> parse_event(std::string_view json);

/// The members of a request's body, or the response that refuses the request: 404 for another
/// target than /, 405 for another method than POST, 400 for a body that is not such an object.
std::variant<Members, Response> read_body(const Request& request);

/// 400 with reason invalid_json.
Response invalid_json_response(const EventError& error);

/// What a request asks for: an event to accept, or the response that refuses the request.
std::variant<Event, Response> route(const Request& request);

}  // namespace unfreeze
