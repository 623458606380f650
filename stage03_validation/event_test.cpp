#include "stage03_validation/event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "common/catch.hpp"
#include "common/grammar.hpp"

using namespace unfreeze;
using namespace std::literals;

namespace {

constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();

std::string describe(const Event& event) {
    return fmt::format("{} {} {}", event.user, event.action, event.amount);
}

/// "USER ACTION AMOUNT", or "error: DETAIL".
std::string read(std::string_view json) {
    const auto parsed = parse_event(json);
    if (const auto* error = std::get_if<EventError>(&parsed)) {
        return "error: " + error->detail;
    }
    return describe(std::get<Event>(parsed));
}

/// An event whose amount is written so.
std::string with_amount(std::string_view amount) {
    return fmt::format(R"({{"user":"a","action":"b","amount":{}}})", amount);
}

/// An event whose user is written so, between the quotation marks.
std::string with_user(std::string_view user) {
    return fmt::format(R"({{"user":"{}","action":"b","amount":1}})", user);
}

/// An event with this before its own members.
std::string with_further(std::string_view further) {
    return fmt::format(R"({{{},"user":"a","action":"b","amount":1}})", further);
}

/// The user that is read from these bytes between the quotation marks.
std::string user_of(std::string_view user) {
    const auto parsed = parse_event(with_user(user));
    const auto* event = std::get_if<Event>(&parsed);
    return event ? event->user : "error: " + std::get<EventError>(parsed).detail;
}

/// What may be said about an event goes into a JSON string as it stands.
bool may_stand_in_json(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
        return is_control_char(c) || c == '\t' || c == '"' || c == '\\' ||
               static_cast<unsigned char>(c) >= 0x80;
    });
}

/// An error that begins so, in words that may stand in JSON.
void check_refused(std::string_view json, std::string_view begin) {
    const std::string seen = read(json);
    INFO("from " << json.substr(0, 200));
    CHECK(seen.substr(0, begin.size()) == begin);
    CHECK(may_stand_in_json(seen));
}

}  // namespace

TEST_CASE("An event is read member by member") {
    const auto parsed = parse_event(R"({"user":"alice","action":"buy","amount":100})");
    REQUIRE(std::holds_alternative<Event>(parsed));
    const Event& event = std::get<Event>(parsed);
    CHECK(event.user == "alice");
    CHECK(event.action == "buy");
    CHECK(event.amount == 100);
}

TEST_CASE("Members may stand in any order, with whitespace between them") {
    CHECK(read(R"({"user":"a","action":"b","amount":1})") == "a b 1");
    CHECK(read(R"({"user":"a","amount":1,"action":"b"})") == "a b 1");
    CHECK(read(R"({"action":"b","user":"a","amount":1})") == "a b 1");
    CHECK(read(R"({"action":"b","amount":1,"user":"a"})") == "a b 1");
    CHECK(read(R"({"amount":1,"user":"a","action":"b"})") == "a b 1");
    CHECK(read(R"({"amount":1,"action":"b","user":"a"})") == "a b 1");
    CHECK(read(" \t\r\n{ \"user\" :\t\"a\",\r\"action\":\n\"b\" , \"amount\": 1 }\r\n ") ==
          "a b 1");
}

TEST_CASE("Further members are read over, whatever they hold") {
    for (const std::string_view further : {
             R"("x":null)",
             R"("x":true,"y":false)",
             R"("x":1.5e3,"y":-0.0,"z":99999999999999999999)",
             R"("x":"user","x":"user")",
             R"("":"")",
             R"("x":[])",
             R"("x":{})",
             R"("x":["user",1,{"user":2}],"y":[[["user"]]])",
             R"("x":{"user":1,"action":{"amount":"x"},"amount":[]})",
             R"("User":1,"user ":2,"use":3,"users":4)",
             R"("user\u0000":1,"amount\u0000":"x")",
             R"("null":{"user":"n","action":"n","amount":9})",
         }) {
        INFO(further);
        CHECK(read(with_further(further)) == "a b 1");
        CHECK(read(fmt::format(R"({{"user":"a","action":"b","amount":1,{}}})", further)) ==
              "a b 1");
    }
}

TEST_CASE("What stands deeper down is no member of the event") {
    check_refused(R"({"x":{"user":"a","action":"b","amount":1}})",
                  "error: member 'user' is missing");
    check_refused(R"({"user":"a","action":"b","x":[{"amount":1}]})",
                  "error: member 'amount' is missing");
    CHECK(read(R"({"user":"a","x":{"user":"c"},"action":"b","amount":1})") == "a b 1");
}

TEST_CASE("An amount may be any 64-bit integer and nothing beyond") {
    struct {
        std::string_view text;
        std::int64_t amount;
    } const rows[] = {
        {"0", 0},
        {"-0", 0},
        {"-1", -1},
        {"2147483647", 2147483647},  // where RapidJSON passes from one handler to the next
        {"2147483648", 2147483648},
        {"4294967295", 4294967295},
        {"4294967296", 4294967296},
        {"-2147483648", -2147483648LL},
        {"-2147483649", -2147483649LL},
        {"9007199254740993", 9007199254740993},  // no double is that
        {"-9007199254740993", -9007199254740993},
        {"9223372036854775806", int64_max - 1},
        {"9223372036854775807", int64_max},
        {"-9223372036854775807", int64_min + 1},
        {"-9223372036854775808", int64_min},
    };
    for (const auto& row : rows) {
        CHECK(read(with_amount(row.text)) == describe({"a", "b", row.amount}));
    }
    for (const std::string_view text :
         {"9223372036854775808", "-9223372036854775809", "18446744073709551615",
          "18446744073709551616", "-18446744073709551616",
          "100000000000000000000000000000000000"}) {
        check_refused(with_amount(text), "error: member 'amount' must be a 64-bit integer, not a");
    }
}

TEST_CASE("An amount has no fraction and no exponent, though its value be an integer") {
    for (const std::string_view text :
         {"1.0", "0.0", "-0.0", "1.5", "1e2", "1E2", "1e0", "100e-2", "9223372036854775807.0"}) {
        check_refused(with_amount(text),
                      "error: member 'amount' must be a 64-bit integer, not a number with a");
    }
}

TEST_CASE("What JSON does not know as a number is refused by its place") {
    struct {
        std::string_view amount;
        std::size_t place;  // in the amount
    } const rows[] = {
        {"01", 1},  {"+1", 0},  {"-", 1},   {".5", 0},       {"0x1", 1},
        {"1.", 2},  {"1e", 2},  {"NaN", 0}, {"Infinity", 0}, {"-Infinity", 1},
        {"--1", 1}, {"1_0", 1}, {"1 2", 2}, {"1e999", 0},  // the last is more than a double holds
    };
    const std::size_t begin = with_amount("").size() - 1;
    for (const auto& row : rows) {
        check_refused(with_amount(row.amount),
                      fmt::format("error: invalid JSON at byte {}:", begin + row.place));
    }
}

TEST_CASE("A member that is missing is named") {
    check_refused(R"({"action":"b","amount":1})", "error: member 'user' is missing");
    check_refused(R"({"user":"a","amount":1})", "error: member 'action' is missing");
    check_refused(R"({"user":"a","action":"b"})", "error: member 'amount' is missing");
    check_refused("{}", "error: member 'user' is missing");
    check_refused(R"({"USER":"a","action":"b","amount":1})", "error: member 'user' is missing");
}

TEST_CASE("A member that stands there twice is refused, and named") {
    check_refused(R"({"user":"a","user":"a","action":"b","amount":1})",
                  "error: member 'user' stands there twice");
    check_refused(R"({"user":"a","action":"b","action":"c","amount":1})",
                  "error: member 'action' stands there twice");
    check_refused(R"({"user":"a","action":"b","amount":1,"amount":1})",
                  "error: member 'amount' stands there twice");
    check_refused(R"({"user":"","action":"b","amount":1,"user":""})",
                  "error: member 'user' stands there twice");
    check_refused(R"({"amount":0,"user":"a","action":"b","amount":0})",
                  "error: member 'amount' stands there twice");
    check_refused(R"({"user":"a","\u0075ser":"b","action":"b","amount":1})",
                  "error: member 'user' stands there twice");
    check_refused(R"({"user":"a","user":1,"action":"b","amount":1})",
                  "error: member 'user' must be a string, not a number");
}

TEST_CASE("A member of another type is refused, and both are named") {
    struct {
        std::string_view value;
        std::string_view type;
    } const rows[] = {
        {"null", "null"},
        {"true", "a boolean"},
        {"false", "a boolean"},
        {"[]", "an array"},
        {R"(["a"])", "an array"},
        {"{}", "an object"},
        {R"({"user":"a"})", "an object"},
    };
    for (const auto& [value, type] : rows) {
        check_refused(fmt::format(R"({{"user":{},"action":"b","amount":1}})", value),
                      fmt::format("error: member 'user' must be a string, not {}", type));
        check_refused(fmt::format(R"({{"user":"a","action":{},"amount":1}})", value),
                      fmt::format("error: member 'action' must be a string, not {}", type));
        check_refused(with_amount(value),
                      fmt::format("error: member 'amount' must be a 64-bit integer, not {}", type));
    }
    for (const std::string_view number :
         {"1", "-1", "4294967296", "-4294967296", "18446744073709551615", "1.5"}) {
        check_refused(fmt::format(R"({{"user":{},"action":"b","amount":1}})", number),
                      "error: member 'user' must be a string, not a number");
        check_refused(fmt::format(R"({{"user":"a","action":{},"amount":1}})", number),
                      "error: member 'action' must be a string, not a number");
    }
    check_refused(with_amount(R"("1")"),
                  "error: member 'amount' must be a 64-bit integer, not a string");
}

TEST_CASE("Anything but an object is refused") {
    struct {
        std::string_view json;
        std::string_view type;
    } const rows[] = {
        {"null", "null"},
        {"true", "a boolean"},
        {"1", "a number"},
        {"-1.5", "a number"},
        {"18446744073709551615", "a number"},
        {R"("user")", "a string"},
        {"[]", "an array"},
        {R"([{"user":"a","action":"b","amount":1}])", "an array"},
    };
    for (const auto& row : rows) {
        check_refused(row.json, fmt::format("error: an object is expected, not {}", row.type));
    }
}

TEST_CASE("What is no JSON is refused by its place") {
    struct {
        std::string_view json;
        std::string_view place;
    } const rows[] = {
        {"", "0:"},
        {" \r\n\t", "4:"},
        {"\0"sv, "0:"},
        {"\v{}", "0:"},
        {"{", "1:"},
        {"}", "0:"},
        {"nul", "3:"},
        {"{user:1}", "1:"},
        {"{'user':1}", "1:"},
        {R"({"user")", "7:"},
        {R"({"user":)", "8:"},
        {R"({"user" "a"})", "8:"},
        {R"({"user":"a)", "10:"},
        {R"({"user":"a",})", "12:"},
        {R"({"user":"a";"action":"b"})", "11:"},
        {R"({,"user":"a"})", "1:"},
        {R"({"user":"a" /* b */,"action":"b"})", "12:"},
        {R"({"x":[1,],"user":"a"})", "8:"},
        {R"({"x":[1}})", "7:"},
        {R"({"x":{"y":1]})", "11:"},
        {"{\"user\":\"a\nb\"}", "10:"},
        {"{\"user\":\"a\tb\"}", "10:"},
        {R"({"user":"\x"})", "9:"},
        {R"({"user":"\u12g4"})", "9:"},
        {R"({"user":"\)", "9:"},
        {R"({"user":"\u12)", "9:"},
    };
    for (const auto& row : rows) {
        check_refused(row.json, fmt::format("error: invalid JSON at byte {}", row.place));
    }
}

TEST_CASE("An event cut short anywhere is none") {
    const std::string event = with_further(R"("x":[1.5,{"y":"z\u00e9"}])");
    REQUIRE(read(event) == "a b 1");
    for (std::size_t size = 0; size < event.size(); ++size) {
        // On the heap and of that size: a byte read past it would show under a sanitizer.
        const std::string cut = event.substr(0, size);
        check_refused(cut, "error: invalid JSON at byte ");
    }
}

TEST_CASE("Nothing but whitespace may follow the event") {
    const std::string event = with_amount("1");
    const std::string at_end = fmt::format("error: invalid JSON at byte {}", event.size());
    CHECK(read(event + " \r\n\t") == "a b 1");
    for (const std::string_view more : {"x", "{}", ",", "}", "1", "\"", "\xff"}) {
        check_refused(event + std::string{more}, at_end);
    }
    check_refused(event + " " + event, "error: invalid JSON at byte ");

    SECTION("A NUL ends no text") {
        check_refused(event + "\0"s, at_end);
        check_refused(event + "\0 "s, at_end);
        check_refused(event + "\0{\"user\":1}"s, at_end);
        check_refused(event + " \0"s,
                      fmt::format("error: invalid JSON at byte {}", event.size() + 1));
    }
    SECTION("Nor is it whitespace") {
        check_refused("\0"s + event, "error: invalid JSON at byte 0");
        check_refused("{\0\"user\":\"a\",\"action\":\"b\",\"amount\":1}"sv,
                      "error: invalid JSON at byte 1");
        check_refused("{\"user\":\"a\",\"action\":\"b\",\"amount\":1\0}"sv,
                      "error: invalid JSON at byte 35");
    }
    SECTION("Nor does it stand in a string as it is") {
        check_refused(with_user("a\0b"sv), "error: invalid JSON at byte 10");
    }
}

TEST_CASE("Escapes are undone") {
    CHECK(user_of(R"(\"\\\/\b\f\n\r\t)") == "\"\\/\b\f\n\r\t");
    CHECK(user_of(R"(\u0041\u00e9\u20AC)") == "A\xc3\xa9\xe2\x82\xac");
    CHECK(user_of(R"(\ud83d\ude00)") == "\xf0\x9f\x98\x80");
    CHECK(user_of(R"(\ud7ff\ue000)") == "\xed\x9f\xbf\xee\x80\x80");  // around the surrogates
    CHECK(user_of(R"(\uDBFF\uDFFF)") == "\xf4\x8f\xbf\xbf");
    CHECK(user_of(R"(a\u0000b)") == "a\0b"s);
    CHECK(user_of(R"(\u0000)") == "\0"s);
    CHECK(user_of("") == "");
}

TEST_CASE("UTF-8 is kept as it came") {
    for (const std::string_view text : {
             "\x7f",
             "\xc2\x80",
             "\xdf\xbf",
             "\xe0\xa0\x80",
             "\xed\x80\x80",
             "\xed\x9f\xbf",
             "\xee\x80\x80",
             "\xef\xbf\xbf",
             "\xf0\x90\x80\x80",
             "\xf4\x8f\xbf\xbf",
         }) {
        CHECK(user_of(text) == text);
    }
}

TEST_CASE("What is no UTF-8 is refused, in whatever string it stands") {
    struct {
        std::string_view what;
        std::string_view bytes;
    } const rows[] = {
        {"a lone continuation", "\x80"},
        {"the last of them", "\xbf"},
        {"one too many", "\xc3\xa9\xa9"},
        {"two bytes, cut short", "\xc3"},
        {"three bytes, cut short", "\xe2\x82"},
        {"four bytes, cut short", "\xf0\x9f\x98"},
        {"an overlong NUL", "\xc0\x80"},
        {"an overlong slash", "\xc0\xaf"},
        {"overlong in two bytes", "\xc1\xbf"},
        {"overlong in three", "\xe0\x9f\xbf"},
        {"overlong in four", "\xf0\x8f\xbf\xbf"},
        {"the first surrogate", "\xed\xa0\x80"},
        {"the last surrogate", "\xed\xbf\xbf"},
        {"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80"},
        {"past the last code point", "\xf4\x90\x80\x80"},
        {"far past it", "\xf5\x80\x80\x80"},
        {"five bytes", "\xf8\x88\x80\x80\x80"},
        {"a byte that UTF-8 never has", "\xfe"},
        {"another", "\xff"},
        {"Latin-1", "caf\xe9"},
    };
    for (const auto& row : rows) {
        INFO(row.what);
        check_refused(with_user(row.bytes), "error: invalid JSON at byte ");
        check_refused(with_user(std::string{row.bytes} + "a"), "error: invalid JSON at byte ");
        check_refused(with_further(fmt::format(R"("x":"{}")", row.bytes)),
                      "error: invalid JSON at byte ");
        check_refused(with_further(fmt::format(R"("{}":1)", row.bytes)),
                      "error: invalid JSON at byte ");
    }
}

TEST_CASE("Half a surrogate pair is refused, in whatever string it stands") {
    for (const std::string_view half :
         {R"(\ud800)", R"(\udbff)", R"(\uDC00)", R"(\udfff)", R"(\ud83d\ud83d)", R"(\ude00\ud83d)",
          R"(\ud83da)", R"(\ud83d\n)", R"(\ud83d\u0041)", R"(\ud83d\ude00\ude00)",
          "\xed\x80\x80\\udc00"}) {
        INFO(half);
        check_refused(with_user(half), "error: invalid JSON at byte ");
        check_refused(with_user(fmt::format("a{}b", half)), "error: invalid JSON at byte ");
        check_refused(with_further(fmt::format(R"("x":"{}")", half)),
                      "error: invalid JSON at byte ");
        check_refused(with_further(fmt::format(R"("{}":1)", half)), "error: invalid JSON at byte ");
        check_refused(with_further(fmt::format(R"("x":[{{"{}":1}}])", half)),
                      "error: invalid JSON at byte ");
    }
    CHECK(read(with_user(R"(\udc00)")).find("surrogate") != std::string::npos);
    CHECK(read(with_user(R"(\ud800)")).find("surrogate") != std::string::npos);
}

TEST_CASE("A byte-order mark is refused") {
    check_refused("\xef\xbb\xbf" + with_amount("1"), "error: invalid JSON at byte 0");
    CHECK(user_of("\xef\xbb\xbf") == "\xef\xbb\xbf");  // inside a string it is a character
}

TEST_CASE("Depth costs no stack") {
    const std::size_t depth = 1'000'000;  // more than a recursive reader's stack has room for
    const std::string opened(depth, '[');
    const std::string closed(depth, ']');
    CHECK(read(with_further("\"x\":" + opened + closed)) == "a b 1");
    check_refused(with_further("\"x\":" + opened), "error: invalid JSON at byte ");
    check_refused(opened, "error: an object is expected, not an array");

    std::string objects;
    for (std::size_t i = 0; i < depth; ++i) {
        objects += "{\"x\":";
    }
    CHECK(read(with_further("\"x\":" + objects + "1" + std::string(depth, '}'))) == "a b 1");
    check_refused(objects, "error: invalid JSON at byte ");
}

TEST_CASE("Nothing that a client sent is repeated in an error") {
    for (const std::string_view json : {
             R"({"secret":1})",
             R"({"secret":"secret"})",
             R"(secret)",
             R"({"user":"secret","user":"secret"})",
             R"({"user":"secret",secret})",
             R"({"user":"a","action":"b","amount":"secret"})",
             R"({"secret":"\udc00secret"})",
         }) {
        const std::string seen = read(json);
        CHECK(seen.substr(0, 7) == "error: ");
        CHECK(seen.find("secret") == std::string::npos);
    }
}
