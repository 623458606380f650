#include "stage03_validation/event.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>

#include <string>
#include <string_view>

#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::literals;

namespace {

std::string describe(const Event& event) {
    return fmt::format("{} {} {}", event.user, event.action, event.amount);
}

/// "USER ACTION AMOUNT", or "error: DETAIL". Checks that a POST with this body results in the same
/// event, or in a 400 whose JSON object has that detail. Checks that both readers agree.
std::string read(std::string_view json) {
    CHECK(parse_members(json) == parse_members_strictly(json));
    const auto parsed = parse_event(json);
    const auto message = route({.method = "POST", .target = "/", .body = json});
    if (const auto* error = std::get_if<EventError>(&parsed)) {
        REQUIRE(std::holds_alternative<Response>(message));
        const auto& [status, body, fields, content_type, close] = std::get<Response>(message);
        CHECK(status == 400);
        CHECK(!close);
        rapidjson::Document response;
        response.Parse<rapidjson::kParseValidateEncodingFlag>(body.data(), body.size());
        REQUIRE(!response.HasParseError());
        CHECK(response.MemberCount() == 3);
        CHECK(response["status"] == "error");
        CHECK(response["reason"] == "invalid_json");
        CHECK(response["detail"].GetString() == error->detail);
        return "error: " + error->detail;
    }
    REQUIRE(std::holds_alternative<Event>(message));
    CHECK(describe(std::get<Event>(message)) == describe(std::get<Event>(parsed)));
    return describe(std::get<Event>(parsed));
}

/// An event with this text for its amount.
std::string with_amount(std::string_view amount) {
    return fmt::format(R"({{"user":"a","action":"b","amount":{}}})", amount);
}

/// An event with this text between the quotation marks of its user.
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

/// Checks that the event is refused, with an error that begins with `begin`.
void check_refused(std::string_view json, std::string_view begin) {
    const std::string seen = read(json);
    INFO("from " << json.substr(0, 200));
    CHECK(seen.substr(0, begin.size()) == begin);
}

/// `text`, repeated `times` times.
std::string repeated(std::size_t times, std::string_view text) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) {
        all += text;
    }
    return all;
}

/// An event with one more member, whose value is nested `depth` levels deep.
std::string nested(std::size_t depth, std::string_view open, std::string_view inmost,
                   std::string_view close) {
    return with_further(
        fmt::format(R"("x":{}{}{})", repeated(depth, open), inmost, repeated(depth, close)));
}

const std::string plain = with_amount("1");

constexpr std::string_view no_integer =
    "error: member 'amount' must be a 64-bit integer, not a number with a fraction, an exponent or "
    "too many digits";
constexpr std::string_view out_of_range =
    "error: member 'amount' must be a 64-bit integer, not a number out of range";
constexpr std::string_view too_big =
    "error: invalid JSON at byte 34: Number too big to be stored in double.";
constexpr std::string_view not_alone =
    "error: invalid JSON at byte 36: The document root must not be followed by other values.";
constexpr std::string_view two_users = "error: duplicate member 'user'";
constexpr std::string_view two_amounts = "error: duplicate member 'amount'";

struct {
    std::string_view what;
    std::string json;
    std::string_view expected;  // as read() returns it
} const limit_rows[] = {
    {"the least integer", with_amount("-9223372036854775808"), "a b -9223372036854775808"},
    {"one more", with_amount("-9223372036854775807"), "a b -9223372036854775807"},
    {"one less", with_amount("-9223372036854775809"), no_integer},
    {"the greatest integer", with_amount("9223372036854775807"), "a b 9223372036854775807"},
    {"one less", with_amount("9223372036854775806"), "a b 9223372036854775806"},
    {"one more", with_amount("9223372036854775808"), out_of_range},
    {"the greatest unsigned integer", with_amount("18446744073709551615"), out_of_range},
    {"one more", with_amount("18446744073709551616"), no_integer},
    {"its negative", with_amount("-18446744073709551616"), no_integer},
    {"a hundred digits", with_amount(std::string(100, '9')), no_integer},
    {"a thousand digits", with_amount(std::string(1000, '9')), too_big},
    {"a thousand digits and a minus sign", with_amount("-" + std::string(1000, '9')), too_big},
    {"zero", with_amount("0"), "a b 0"},
    {"negative zero", with_amount("-0"), "a b 0"},
    {"minus one", with_amount("-1"), "a b -1"},
    // Where RapidJSON changes from one handler to another.
    {"31 bits", with_amount("2147483647"), "a b 2147483647"},
    {"more than that", with_amount("2147483648"), "a b 2147483648"},
    {"32 bits", with_amount("4294967295"), "a b 4294967295"},
    {"more than that", with_amount("4294967296"), "a b 4294967296"},
    {"31 bits and a sign", with_amount("-2147483648"), "a b -2147483648"},
    {"less than that", with_amount("-2147483649"), "a b -2147483649"},
    {"an integer that no double represents", with_amount("9007199254740993"),
     "a b 9007199254740993"},
    {"its negative", with_amount("-9007199254740993"), "a b -9007199254740993"},

    {"a fraction", with_amount("1.5"), no_integer},
    {"a fraction of zero", with_amount("1.0"), no_integer},
    {"negative zero and a fraction", with_amount("-0.0"), no_integer},
    {"the greatest integer and a fraction", with_amount("9223372036854775807.0"), no_integer},
    {"an exponent", with_amount("1e2"), no_integer},
    {"a capital E", with_amount("1E2"), no_integer},
    {"an exponent of zero", with_amount("1e0"), no_integer},
    {"a negative exponent", with_amount("100e-2"), no_integer},
    {"less than the smallest double", with_amount("1e-400"), no_integer},
    {"more than a double holds", with_amount("1E400"), too_big},
    {"its negative", with_amount("-1E400"), too_big},
    {"much more", with_amount("1e99999999999999999999"), too_big},
    {"more than a double holds, in a further member", with_further(R"("x":1E400)"),
     "error: invalid JSON at byte 5: Number too big to be stored in double."},

    {"a user twice", R"({"user":"a","user":"b","action":"b","amount":1})", two_users},
    {"the same one twice", R"({"user":"a","action":"b","amount":1,"user":"a"})", two_users},
    {"an empty one", R"({"user":"","action":"b","amount":1,"user":""})", two_users},
    {"an action twice", R"({"user":"a","action":"b","action":"c","amount":1})",
     "error: duplicate member 'action'"},
    {"an amount twice", R"({"user":"a","action":"b","amount":1,"amount":1})", two_amounts},
    {"an amount of zero twice", R"({"amount":0,"user":"a","action":"b","amount":0})", two_amounts},
    {"a user again, escaped", R"({"user":"a","\u0075ser":"b","action":"b","amount":1})", two_users},
    {"escaped first", R"({"\u0075\u0073\u0065\u0072":"b","user":"a","action":"b","amount":1})",
     two_users},
    {"an amount again, escaped", R"({"user":"a","action":"b","amount":1,"\u0061mount":2})",
     two_amounts},
    {"a user again, of another type", R"({"user":"a","user":1,"action":"b","amount":1})",
     "error: member 'user' must be a string, not a number"},
    {"a further member twice", with_further(R"("x":1,"x":2)"), "a b 1"},
    {"all three escaped", R"({"\u0075ser":"a","\u0061ction":"b","\u0061mount":1})", "a b 1"},

    {"a NUL in a name", "{\"us\0er\":\"a\",\"action\":\"b\",\"amount\":1}"s,
     "error: invalid JSON at byte 4: Missing a closing quotation mark in string."},
    {"one at its end", "{\"user\0\":\"a\",\"action\":\"b\",\"amount\":1}"s,
     "error: invalid JSON at byte 6: Missing a closing quotation mark in string."},
    {"an escaped one", R"({"us\u0000er":"a","action":"b","amount":1})",
     "error: member 'user' is missing"},
    {"an escaped one at its end", R"({"user\u0000":"a","action":"b","amount":1})",
     "error: member 'user' is missing"},
    {"one more member of such a name", with_further(R"("user\u0000":"c","\u0000":1)"), "a b 1"},
    {"a NUL in a value", with_user("a\0b"s),
     "error: invalid JSON at byte 10: Missing a closing quotation mark in string."},
    {"an escaped one", with_user(R"(a\u0000b)"), "a\0b b 1"sv},
    {"a NUL before the text", "\0"s + plain,
     "error: invalid JSON at byte 0: The document is empty."},
    {"a NUL instead of whitespace", "{\0\"user\":\"a\",\"action\":\"b\",\"amount\":1}"s,
     "error: invalid JSON at byte 1: Missing a name for object member."},
    {"a NUL before the end", plain.substr(0, plain.size() - 1) + "\0}"s,
     "error: invalid JSON at byte 35: Missing a comma or '}' after an object member."},

    {"a byte-order mark", "\xef\xbb\xbf" + plain, "error: invalid JSON at byte 0: Invalid value."},
    {"that of UTF-16", "\xff\xfe" + plain, "error: invalid JSON at byte 0: Invalid value."},
    {"the other one", "\xfe\xff" + plain, "error: invalid JSON at byte 0: Invalid value."},
    {"one inside a string", with_user("\xef\xbb\xbf"), "\xef\xbb\xbf b 1"},
    {"whitespace after an event", plain + " \r\n\t", "a b 1"},
    {"a letter after it", plain + "x", not_alone},
    {"a bracket", plain + "}", not_alone},
    {"a comma", plain + ",", not_alone},
    {"another event", plain + plain, not_alone},
    {"another event on the next line", plain + "\n" + plain,
     "error: invalid JSON at byte 37: The document root must not be followed by other values."},
    {"a byte that is not UTF-8", plain + "\xff", not_alone},
    {"a NUL", plain + "\0"s, "error: invalid JSON at byte 36: a NUL"},
    {"a NUL and whitespace", plain + "\0 "s, "error: invalid JSON at byte 36: a NUL"},
    {"whitespace and a NUL", plain + " \0"s, "error: invalid JSON at byte 37: a NUL"},
    {"a NUL and an object", plain + "\0{\"user\":1}"s, "error: invalid JSON at byte 36: a NUL"},

    {"a lone continuation byte", with_user("\x80"),
     "error: invalid JSON at byte 9: Invalid encoding in string."},
    {"a truncated character", with_user("\xe2\x82"),
     "error: invalid JSON at byte 9: Invalid encoding in string."},
    {"a character in Latin-1", with_user("caf\xe9"),
     "error: invalid JSON at byte 12: Invalid encoding in string."},
    {"an overlong character", with_user("\xc0\x80"),
     "error: invalid JSON at byte 9: Invalid encoding in string."},
    {"a surrogate in UTF-8", with_user("\xed\xa0\x80"),
     "error: invalid JSON at byte 9: Invalid encoding in string."},
    {"past the last character", with_user("\xf4\x90\x80\x80"),
     "error: invalid JSON at byte 9: Invalid encoding in string."},
    {"invalid UTF-8 in a name", with_further("\"\xff\":1"),
     "error: invalid JSON at byte 2: Invalid encoding in string."},
    {"the first half of a pair", with_user(R"(\ud800)"),
     "error: invalid JSON at byte 9: The surrogate pair in string is invalid."},
    {"the second half", with_user(R"(\udc00)"),
     "error: invalid JSON at byte 16: The surrogate pair in string is invalid."},
    {"two first halves", with_user(R"(\ud83d\ud83d)"),
     "error: invalid JSON at byte 9: The surrogate pair in string is invalid."},
    {"a pair the wrong way round", with_user(R"(\ude00\ud83d)"),
     "error: invalid JSON at byte 15: The surrogate pair in string is invalid."},
    {"half a pair and a letter", with_user(R"(\ud83da)"),
     "error: invalid JSON at byte 9: The surrogate pair in string is invalid."},
    {"the first half in a name", with_further(R"("\ud800":1)"),
     "error: invalid JSON at byte 2: The surrogate pair in string is invalid."},
    {"the second", with_further(R"("\udfff":1)"),
     "error: invalid JSON at byte 9: The surrogate pair in string is invalid."},
    {"a whole pair", with_user(R"(\ud83d\ude00)"), "\xf0\x9f\x98\x80 b 1"},

    {"arrays in arrays", nested(100'000, "[", "", "]"), "a b 1"},
    {"objects in objects", nested(100'000, R"({"x":)", "1", "}"), "a b 1"},
    {"both in turn", nested(100'000, R"([{"x":)", "1", "}]"), "a b 1"},
    {"deeper than a recursive parser's stack allows", nested(1'000'000, "[", "", "]"), "a b 1"},
    {"the same in objects", nested(1'000'000, R"({"x":)", "1", "}"), "a b 1"},
    {"arrays that do not close", nested(100'000, "[", "", ""),
     "error: invalid JSON at byte 100005: Invalid value."},
    {"arrays that an object closes", nested(100'000, "[", "", "}"),
     "error: invalid JSON at byte 100005: Invalid value."},
    {"objects that do not close", nested(100'000, R"({"x":)", "1", ""),
     "error: invalid JSON at byte 500042: Missing a comma or '}' after an object member."},
    {"arrays alone", repeated(100'000, "["), "error: expected an object, not an array"},
    {"objects alone", repeated(100'000, R"({"x":)"),
     "error: invalid JSON at byte 500000: Invalid value."},
    {"an amount that deep", with_amount(repeated(100'000, "[") + repeated(100'000, "]")),
     "error: member 'amount' must be a 64-bit integer, not an array"},
};

}  // namespace

TEST_CASE("Hostile events and events at a limit have the expected results") {
    for (const auto& row : limit_rows) {
        INFO(row.what << ": " << row.json.substr(0, 200));
        CHECK(read(row.json) == row.expected);
    }
}

TEST_CASE("parse_event reads the three members of an event") {
    const auto parsed = parse_event(R"({"user":"alice","action":"buy","amount":100})");
    REQUIRE(std::holds_alternative<Event>(parsed));
    const Event& event = std::get<Event>(parsed);
    CHECK(event.user == "alice");
    CHECK(event.action == "buy");
    CHECK(event.amount == 100);
}

TEST_CASE("Members may come in any order, with whitespace between them") {
    CHECK(read(R"({"user":"a","action":"b","amount":1})") == "a b 1");
    CHECK(read(R"({"user":"a","amount":1,"action":"b"})") == "a b 1");
    CHECK(read(R"({"action":"b","user":"a","amount":1})") == "a b 1");
    CHECK(read(R"({"action":"b","amount":1,"user":"a"})") == "a b 1");
    CHECK(read(R"({"amount":1,"user":"a","action":"b"})") == "a b 1");
    CHECK(read(R"({"amount":1,"action":"b","user":"a"})") == "a b 1");
    CHECK(read(" \t\r\n{ \"user\" :\t\"a\",\r\"action\":\n\"b\" , \"amount\": 1 }\r\n ") ==
          "a b 1");
}

TEST_CASE("Further members are ignored, whatever they hold") {
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

TEST_CASE("The members of nested objects are not members of the event") {
    check_refused(R"({"x":{"user":"a","action":"b","amount":1}})",
                  "error: member 'user' is missing");
    check_refused(R"({"user":"a","action":"b","x":[{"amount":1}]})",
                  "error: member 'amount' is missing");
    CHECK(read(R"({"user":"a","x":{"user":"c"},"action":"b","amount":1})") == "a b 1");
}

TEST_CASE("An amount that is not a JSON number is refused, and the error has its position") {
    struct {
        std::string_view amount;
        std::size_t position;  // in the amount
    } const rows[] = {
        {"01", 1},  {"+1", 0},  {"-", 1},   {".5", 0},       {"0x1", 1},
        {"1.", 2},  {"1e", 2},  {"NaN", 0}, {"Infinity", 0}, {"-Infinity", 1},
        {"--1", 1}, {"1_0", 1}, {"1 2", 2}, {"1e999", 0},  // the last is more than a double holds
    };
    const std::size_t begin = with_amount("").size() - 1;
    for (const auto& row : rows) {
        check_refused(with_amount(row.amount),
                      fmt::format("error: invalid JSON at byte {}:", begin + row.position));
    }
}

TEST_CASE("The error names a missing member") {
    check_refused(R"({"action":"b","amount":1})", "error: member 'user' is missing");
    check_refused(R"({"user":"a","amount":1})", "error: member 'action' is missing");
    check_refused(R"({"user":"a","action":"b"})", "error: member 'amount' is missing");
    check_refused("{}", "error: member 'user' is missing");
    check_refused(R"({"USER":"a","action":"b","amount":1})", "error: member 'user' is missing");
}

TEST_CASE("A member of the wrong type is refused, and the error names the member and the type") {
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
        check_refused(row.json, fmt::format("error: expected an object, not {}", row.type));
    }
}

TEST_CASE("Text that is not JSON is refused, and the error has the position") {
    struct {
        std::string_view json;
        std::string_view position;
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
        check_refused(row.json, fmt::format("error: invalid JSON at byte {}", row.position));
    }
}

TEST_CASE("An event that is cut short anywhere is refused") {
    const std::string event = with_further(R"("x":[1.5,{"y":"z\u00e9"}])");
    REQUIRE(read(event) == "a b 1");
    for (std::size_t size = 0; size < event.size(); ++size) {
        // On the heap and of exactly that size, so that a sanitizer reports a read past its end.
        const std::string cut = event.substr(0, size);
        check_refused(cut, "error: invalid JSON at byte ");
    }
}

TEST_CASE("Escapes are decoded") {
    CHECK(user_of(R"(\"\\\/\b\f\n\r\t)") == "\"\\/\b\f\n\r\t");
    CHECK(user_of(R"(\u0041\u00e9\u20AC)") == "A\xc3\xa9\xe2\x82\xac");
    CHECK(user_of(R"(\ud83d\ude00)") == "\xf0\x9f\x98\x80");
    CHECK(user_of(R"(\ud7ff\ue000)") == "\xed\x9f\xbf\xee\x80\x80");  // around the surrogates
    CHECK(user_of(R"(\uDBFF\uDFFF)") == "\xf4\x8f\xbf\xbf");
    CHECK(user_of(R"(a\u0000b)") == "a\0b"s);
    CHECK(user_of(R"(\u0000)") == "\0"s);
    CHECK(user_of("") == "");
}

TEST_CASE("UTF-8 is kept unchanged") {
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

TEST_CASE("Bytes that are not UTF-8 are refused in every string") {
    struct {
        std::string_view what;
        std::string_view bytes;
    } const rows[] = {
        {"a lone continuation byte", "\x80"},
        {"the last of them", "\xbf"},
        {"one continuation byte too many", "\xc3\xa9\xa9"},
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

TEST_CASE("Half a surrogate pair is refused in every string") {
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

TEST_CASE("An error repeats nothing that the client sent") {
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

TEST_CASE("A user and an action have at most 256 bytes, however they are escaped") {
    const std::string longest = repeated(128, "\xc3\xa9");
    CHECK(user_of(longest) == longest);
    CHECK(user_of(repeated(128, R"(\u00e9)")) == longest);
    const std::string reason = "error: member 'user' has more than 256 bytes";
    CHECK(user_of(longest + "x") == reason);
    CHECK(user_of(repeated(257, R"(\u0061)")) == reason);
    CHECK(user_of(repeated(60'000, "x")) == reason);
    const auto action = [](std::size_t bytes) {
        return fmt::format(R"({{"user":"a","action":"{}","amount":1}})", std::string(bytes, 'x'));
    };
    CHECK(std::holds_alternative<Event>(parse_event(action(256))));
    check_refused(action(257), "error: member 'action' has more than 256 bytes");
    CHECK(std::holds_alternative<Event>(parse_event(
        with_further(fmt::format(R"("type":"{0}","{0}":"{0}")", std::string(10'000, 'x'))))));
}
