#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/http.hpp"

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
    bool incomplete = false;  // nothing else is wrong with the object: a member is missing
};

/// Reads an event from a JSON text (RFC 8259), whole and in UTF-8. The three members may stand in
/// any order, each once; further members are read over. Nesting costs no stack, however deep.
std::variant<Event, EventError> parse_event(std::string_view json);

/// The event that a request carries, or the answer that refuses it: 404, 405, 400.
std::variant<Event, Response> read_event(const Request& request);

/// The two ways to refuse: what is no POST to /, whatever its body, and a body that is no event.
std::optional<Response> misdirected(const Request& request);
Response invalid_json(const EventError& error);

}  // namespace unfreeze
