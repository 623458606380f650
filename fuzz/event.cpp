// Any bytes as a body: the parser returns an event, or an error that is safe in a JSON string. The
// strict reader and the parser of events and queries find the same.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "common/http/grammar.hpp"
#include "fuzz/check.hpp"
#include "stage04_state/query.hpp"

namespace {

using namespace unfreeze;

bool is_safe_in_a_string(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return c == '"' || c == '\\' || is_control_char(c); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    const auto event = parse_event(bytes);
    auto members = parse_members(bytes);
    check(members == parse_members_strictly(bytes),
          "the quick reader finds what the strict one does");
    std::variant<Event, BalanceQuery, EventError> message = EventError{};
    if (auto* found = std::get_if<Members>(&members)) {
        message = message_from(std::move(*found));
    }
    if (const auto* error = std::get_if<EventError>(&event)) {
        check(!error->detail.empty() && is_safe_in_a_string(error->detail),
              "an error is safe in a JSON string");
        check(!std::holds_alternative<Event>(message),
              "the parser of events and queries rejects the same events");
    } else {
        const auto* same = std::get_if<Event>(&message);
        const Event& found = std::get<Event>(event);
        check(same != nullptr && same->user == found.user && same->action == found.action &&
                  same->amount == found.amount,
              "the parser of events and queries finds the same event");
        check(!bytes.empty() && bytes.size() > found.user.size() + found.action.size(),
              "an event's strings are shorter than its text");
        const std::string body = balance_response(found.user, found.amount).body;
        check(std::holds_alternative<EventError>(parse_event(body)), "a response is not an event");
    }
    return 0;
}
