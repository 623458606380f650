#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/http/message.hpp"

namespace unfreeze {

/// What a client may ask for: {"user":"alice","action":"buy","amount":100}.
struct Event {
    std::string user;
    std::string action;
    std::int64_t amount = 0;
};

/// Why a body is no event: names the member, or the byte offset where it stops being JSON.
/// Holds no quotation marks and nothing that the client sent, so it may stand in a JSON string.
struct EventError {
    std::string detail;
};

/// An event's user and its action have at most this many bytes: the server keeps them.
constexpr std::size_t member_bytes_max = 256;

/// The members of a body that decide what it is, as far as they are there.
struct Members {
    std::optional<std::string> user;
    std::optional<std::string> action;
    std::optional<std::int64_t> amount;
    std::optional<std::string> type;  // no part of an event; empty if it is no string
    bool type_twice = false;

    /// Whether it is an event, whatever its further members say.
    bool whole() const { return user && action && amount; }
};

/// Reads a JSON object (RFC 8259), whole and in UTF-8. The members may stand in any order, those of
/// an event each once; further members are read over. Nesting costs no stack, however deep.
std::variant<Members, EventError> parse_members(std::string_view json);

/// The event that has these members, or the first one that is missing.
std::variant<Event, EventError> event_from(Members members);

/// Both in one.
std::variant<Event, EventError> parse_event(std::string_view json);

/// The event that a request carries, or the answer that refuses it: 404, 405, 400.
std::variant<Event, Response> read_event(const Request& request);

/// The two ways to refuse: what is no POST to /, whatever its body, and a body that is no event.
std::optional<Response> misdirected(const Request& request);
Response invalid_json(const EventError& error);

}  // namespace unfreeze
