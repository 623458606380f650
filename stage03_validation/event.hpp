#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

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

/// Reads an event from a JSON text (RFC 8259), whole and in UTF-8. The three members may stand in
/// any order, each once; further members are read over. Nesting costs no stack, however deep.
std::variant<Event, EventError> parse_event(std::string_view json);

}  // namespace unfreeze
