#include "stage03_validation/event.hpp"

#include <fmt/format.h>
#include <rapidjson/allocators.h>
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <new>
#include <optional>

namespace unfreeze {
namespace {

/// Half of a surrogate pair, which is not valid in UTF-8 (RFC 3629 section 3): ED, then a byte from
/// A0 on. RapidJSON rejects these bytes and a lone \ud800, but up to its version 1.1 it turns
/// \udc00 into them.
bool holds_lone_surrogate(std::string_view text) {
    for (std::size_t i = text.find('\xed'); i != text.npos; i = text.find('\xed', i + 1)) {
        if (i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) >= 0xa0) {
            return true;
        }
    }
    return false;
}

/// Describes the error in the JSON with RapidJSON's message. Two errors get another one: that
/// message has a backslash, or a handler stopped the reader without a message.
std::string_view phrase(rapidjson::ParseErrorCode code) {
    switch (code) {
        case rapidjson::kParseErrorStringUnicodeEscapeInvalidHex:
            return "Incorrect hex digit after a u escape in string.";
        case rapidjson::kParseErrorTermination:
            return phrase(rapidjson::kParseErrorStringUnicodeSurrogateInvalid);
        default: return rapidjson::GetParseError_En(code);
    }
}

/// An allocator that throws if no memory is left. RapidJSON would use the null pointer.
struct ThrowingAllocator : rapidjson::CrtAllocator {
    void* Malloc(std::size_t bytes) {
        void* const block = rapidjson::CrtAllocator::Malloc(bytes);
        if (block == nullptr && bytes > 0) {
            throw std::bad_alloc{};
        }
        return block;
    }
};
using Pool = rapidjson::MemoryPoolAllocator<ThrowingAllocator>;

/// Handles the events of RapidJSON's reader, which reads in situ, and keeps the members of an event
/// or a query. A handler returns false to stop the reader, with the reason in `error`.
class MembersReader {
public:
    bool Null() { return value("null"); }
    bool Bool(bool) { return value("a boolean"); }
    bool Int(int number) { return integer(number); }
    bool Uint(unsigned number) { return integer(number); }
    bool Int64(std::int64_t number) { return integer(number); }
    bool Uint64(std::uint64_t number) {
        return number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
                   ? integer(static_cast<std::int64_t>(number))
                   : value("a number out of range");
    }
    bool Double(double) {
        return value("a number with a fraction, an exponent or too many digits");
    }
    bool RawNumber(const char*, rapidjson::SizeType, bool) { return value("a number"); }

    bool String(const char* text, rapidjson::SizeType size, bool) {
        if (holds_lone_surrogate({text, size})) {
            return false;
        }
        if (at_member() && (member_ == "user" || member_ == "action")) {
            return keep(member_ == "user" ? members_.user : members_.action, {text, size});
        }
        if (at_member() && member_ == "type") {
            return keep_type({text, size});
        }
        return value("a string");
    }

    bool Key(const char* text, rapidjson::SizeType size, bool) {
        if (holds_lone_surrogate({text, size})) {
            return false;
        }
        if (depth_ == 1) {
            member_ = {text, size};
        }
        return true;
    }

    bool StartObject() { return (depth_ == 0 || value("an object")) && deeper(); }
    bool EndObject(rapidjson::SizeType) { return shallower(); }
    bool StartArray() { return value("an array") && deeper(); }
    bool EndArray(rapidjson::SizeType) { return shallower(); }

    /// The members, once the reader has finished.
    Members take() { return std::move(members_); }

    /// Why a handler stopped the reader; empty if none did.
    const std::string& error() const { return error_; }

private:
    bool at_member() const { return depth_ == 1; }

    bool deeper() {
        ++depth_;
        return true;
    }

    bool shallower() {
        --depth_;
        return true;
    }

    bool integer(std::int64_t number) {
        if (!at_member() || member_ != "amount") {
            return value("a number");
        }
        if (members_.amount) {
            return duplicate();
        }
        members_.amount = number;
        return true;
    }

    bool keep(std::optional<std::string>& member, std::string_view text) {
        if (member) {
            return duplicate();
        }
        if (text.size() > member_bytes_max) {
            return stop(
                fmt::format("member '{}' has more than {} bytes", member_, member_bytes_max));
        }
        member = text;
        return true;
    }

    bool keep_type(std::string_view text) {
        members_.duplicate_type = members_.type.has_value();
        members_.type = text;
        return true;
    }

    bool duplicate() { return stop(fmt::format("duplicate member '{}'", member_)); }

    /// A value that is ignored, unless it is the value of one of our members.
    bool value(std::string_view what) {
        if (depth_ == 0) {
            return stop(fmt::format("expected an object, not {}", what));
        }
        if (at_member() && (member_ == "user" || member_ == "action")) {
            return stop(fmt::format("member '{}' must be a string, not {}", member_, what));
        }
        if (at_member() && member_ == "amount") {
            return stop(fmt::format("member 'amount' must be a 64-bit integer, not {}", what));
        }
        return at_member() && member_ == "type" ? keep_type({}) : true;
    }

    bool stop(std::string error) {
        error_ = std::move(error);
        return false;
    }

    std::size_t depth_ = 0;    // of the value that comes next: 1 is a member of the event
    std::string_view member_;  // the name last read at depth 1; it stays where it was read
    Members members_;
    std::string error_;
};

/// Parses the text with RapidJSON's reader. `flags` select how strictly.
template <unsigned flags>
std::variant<Members, EventError> parse_with(std::string_view json) {
    // The reader unescapes strings in place, in a copy of the text. A small copy and the reader's
    // stack fit in this buffer; the allocator takes more memory only for larger ones.
    alignas(std::max_align_t) std::array<char, 1024> buffer;
    Pool allocator{buffer.data(), buffer.size()};
    char* const text = static_cast<char*>(allocator.Malloc(json.size() + 1));
    *std::copy(json.begin(), json.end(), text) = '\0';
    rapidjson::InsituStringStream stream{text};
    rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, Pool> reader{&allocator};
    MembersReader members;
    const rapidjson::ParseResult parsed =
        reader.template Parse<flags | rapidjson::kParseInsituFlag>(stream, members);
    if (!members.error().empty()) {
        return EventError{members.error()};
    }
    if (parsed.IsError()) {
        return EventError{
            fmt::format("invalid JSON at byte {}: {}", parsed.Offset(), phrase(parsed.Code()))};
    }
    if (stream.Tell() != json.size()) {
        // The reader takes a NUL for the end of the text.
        return EventError{fmt::format("invalid JSON at byte {}: a NUL", stream.Tell())};
    }
    return members.take();
}

/// A text of this size can't nest so deeply that a recursive reader overflows the stack.
constexpr std::size_t short_bytes_max = 512;

/// Whether a text has no escape, no byte that needs a check of its UTF-8, and no NUL.
bool is_short_and_plain(std::string_view json) {
    return json.size() <= short_bytes_max &&
           std::all_of(json.begin(), json.end(), [](char c) { return c > 0 && c != '\\'; });
}

}  // namespace

std::variant<Members, EventError> parse_members(std::string_view json) {
    if (is_short_and_plain(json)) {
        auto members = parse_with<rapidjson::kParseNoFlags>(json);
        if (std::holds_alternative<Members>(members)) {
            return members;
        }
    }
    return parse_members_strictly(json);  // which also describes the errors
}

std::variant<Members, EventError> parse_members_strictly(std::string_view json) {
    // Iterative, because a client could overflow the stack of a recursive reader.
    return parse_with<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(json);
}

std::variant<Event, EventError> event_from(Members members) {
    if (!members.is_event()) {
        return EventError{fmt::format("member '{}' is missing", !members.user     ? "user"
                                                                : !members.action ? "action"
                                                                                  : "amount")};
    }
    return Event{*std::move(members.user), *std::move(members.action), *members.amount};
}

std::variant<Event, EventError> parse_event(std::string_view json) {
    auto parsed = parse_members(json);
    if (auto* error = std::get_if<EventError>(&parsed)) {
        return std::move(*error);
    }
    return event_from(std::get<Members>(std::move(parsed)));
}

std::variant<Members, Response> read_body(const Request& request) {
    if (request.path() != "/") {
        return error_response(404, "not_found", "events go to /");
    }
    if (request.method != "POST") {
        return error_response(405, "method_not_allowed", "events come by POST", "Allow: POST\r\n");
    }
    auto parsed = parse_members(request.body);
    if (const auto* error = std::get_if<EventError>(&parsed)) {
        return invalid_json_response(*error);
    }
    return std::get<Members>(std::move(parsed));
}

Response invalid_json_response(const EventError& error) {
    return error_response(400, "invalid_json", error.detail);
}

std::variant<Event, Response> route(const Request& request) {
    auto body = read_body(request);
    if (auto* refusal = std::get_if<Response>(&body)) {
        return std::move(*refusal);
    }
    auto event = event_from(std::get<Members>(std::move(body)));
    if (const auto* error = std::get_if<EventError>(&event)) {
        return invalid_json_response(*error);
    }
    return std::get<Event>(std::move(event));
}

}  // namespace unfreeze
