#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "stage03_validation/event.hpp"

namespace unfreeze {

/// What a client may ask: {"type":"balance","user":"alice"}.
struct BalanceQuery {
    std::string user;
};

/// Reads an event as parse_event does, or a query. What is a whole event stays one, whatever its
/// further members say; where one of its members is missing, `type` may say that it is a query.
std::variant<Event, BalanceQuery, EventError> parse_message(std::string_view json);

/// What a request carries, or the answer that refuses it: read_event() with queries.
std::variant<Event, BalanceQuery, Response> read_message(const Request& request);

/// {"user":USER,"balance":BALANCE}, the user as in a JSON string (RFC 8259 section 7).
Response balance_response(const std::string& user, std::int64_t balance);

/// {"status":"accepted","balance":BALANCE}
Response accepted_response(std::int64_t balance);

}  // namespace unfreeze
