#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "stage03_validation/event.hpp"
#include "stage04_state/balances.hpp"

namespace unfreeze {

/// What a client may ask: {"type":"balance","user":"alice"}.
struct BalanceQuery {
    std::string user;
};

/// An event, or a query, from the members of a body. What is a whole event stays one, whatever its
/// further members say; where one of its members is missing, `type` may say that it is a query.
std::variant<Event, BalanceQuery, EventError> message_from(Members members);

/// What a request carries, or the answer that refuses it: read_event() with queries, and 503 for an
/// event whose user is one too many.
std::variant<Event, BalanceQuery, Response> read_message(const Request& request, UserLimit& users);

/// The same for a body that has been parsed.
std::variant<Event, BalanceQuery, Response> read_message(Members members, UserLimit& users);

/// {"user":USER,"balance":BALANCE}, the user as in a JSON string (RFC 8259 section 7).
Response balance_response(const std::string& user, std::int64_t balance);

/// {"status":"accepted","balance":BALANCE}
Response accepted_response(std::int64_t balance);

/// 503 with {"status":"rejected","reason":"too_many_users"}. To come again would be of no use: no
/// user is ever forgotten.
Response too_many_users_response();

}  // namespace unfreeze
