#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "stage03_validation/event.hpp"
#include "stage04_state/balances.hpp"

namespace unfreeze {

/// A client asks for a balance: {"type":"balance","user":"alice"}.
struct BalanceQuery {
    std::string user;
};

/// An event, or a query, from the members of a body. A whole event is an event, whatever its
/// further members say. If one of its members is missing, `type` may say that it is a query.
std::variant<Event, BalanceQuery, EventError> message_from(Members members);

/// What a request asks for: route() of stage 3, with queries, and with a 503 response for an event
/// whose user is one too many.
std::variant<Event, BalanceQuery, Response> route(const Request& request, UserLimit& users);

/// The same for a body that has been parsed already.
std::variant<Event, BalanceQuery, Response> route(Members members, UserLimit& users);

/// {"user":USER,"balance":BALANCE}, with the user as a JSON string (RFC 8259 section 7).
Response balance_response(const std::string& user, std::int64_t balance);

/// {"status":"accepted","balance":BALANCE}
Response accepted_response(std::int64_t balance);

/// 503 with {"status":"rejected","reason":"too_many_users"}. There is no Retry-After, because no
/// user is ever forgotten.
Response too_many_users_response();

}  // namespace unfreeze
