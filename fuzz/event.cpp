// Any bytes as a body: they are an event or they are none, for a reason that may stand in an
// answer, and a reader that knows queries too finds the same event.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "common/http/grammar.hpp"
#include "fuzz/check.hpp"
#include "stage04_state/query.hpp"

namespace {

using namespace unfreeze;

bool may_stand_in_a_string(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return c == '"' || c == '\\' || is_control_char(c); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    const auto event = parse_event(bytes);
    auto members = parse_members(bytes);
    std::variant<Event, BalanceQuery, EventError> message = EventError{};
    if (auto* found = std::get_if<Members>(&members)) {
        message = message_from(std::move(*found));
    }
    if (const auto* error = std::get_if<EventError>(&event)) {
        check(!error->detail.empty() && may_stand_in_a_string(error->detail),
              "a reason may stand in an answer");
        check(!std::holds_alternative<Event>(message), "what is no event stays none");
    } else {
        const auto* same = std::get_if<Event>(&message);
        const Event& found = std::get<Event>(event);
        check(same != nullptr && same->user == found.user && same->action == found.action &&
                  same->amount == found.amount,
              "an event is the same event to a reader that knows queries");
        check(!bytes.empty() && bytes.size() > found.user.size() + found.action.size(),
              "its strings are shorter than the text that they stand in");
        const std::string body = balance_response(found.user, found.amount).body;
        check(std::holds_alternative<EventError>(parse_event(body)), "an answer is no event");
    }
    return 0;
}
