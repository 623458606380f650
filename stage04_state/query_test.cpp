#include "stage04_state/query.hpp"

#include <fmt/format.h>

#include "common/catch.hpp"

using namespace unfreeze;

namespace {

/// "event USER", "balance of USER" or "error: DETAIL".
std::string read(std::string_view json) {
    auto members = parse_members(json);
    if (const auto* error = std::get_if<EventError>(&members)) {
        return "error: " + error->detail;
    }
    const auto message = message_from(std::get<Members>(std::move(members)));
    if (const auto* event = std::get_if<Event>(&message)) {
        return "event " + event->user;
    }
    if (const auto* query = std::get_if<BalanceQuery>(&message)) {
        return "balance of " + query->user;
    }
    return "error: " + std::get<EventError>(message).detail;
}

/// The status with which a request is refused, or 0 if it isn't.
int refused_with(const Request& request) {
    UserLimit users{100};
    const auto message = route(request, users);
    const auto* refusal = std::get_if<Response>(&message);
    return refusal ? refusal->status : 0;
}

}  // namespace

TEST_CASE("A query names its type and its user") {
    CHECK(read(R"({"type":"balance","user":"alice"})") == "balance of alice");
    CHECK(read(R"( { "user" : "alice", "further" : [{}], "type" : "balance" } )") ==
          "balance of alice");
    CHECK(read(R"({"type":"balance","user":""})") == "balance of ");
    CHECK(read(R"({"type":"balance","user":"\u0000\"\u20ac"})") ==
          "balance of " + std::string{"\0\"\xe2\x82\xac", 5});
}

TEST_CASE("A complete event is an event, whatever its type member says") {
    CHECK(read(R"({"user":"a","action":"buy","amount":1})") == "event a");
    CHECK(read(R"({"type":"balance","user":"a","action":"buy","amount":1})") == "event a");
    CHECK(read(R"({"type":7,"user":"a","action":"buy","amount":1})") == "event a");
}

TEST_CASE("An event of a user over the limit is refused, but a query never is") {
    UserLimit users{2};
    const auto status = [&](std::string_view user, const char* body) {
        const std::string json = fmt::format(fmt::runtime(body), user);
        const auto message = route({.method = "POST", .target = "/", .body = json}, users);
        const auto* refusal = std::get_if<Response>(&message);
        return refusal ? refusal->body : "";
    };
    const char* const event = R"({{"user":"{}","action":"buy","amount":1}})";
    const char* const query = R"({{"type":"balance","user":"{}"}})";
    CHECK(status("stranger", query) == "");  // and does not count as a user
    CHECK(status("alice", event) == "");
    CHECK(status("bob", event) == "");
    CHECK(status("carol", event) == R"({"status":"rejected","reason":"too_many_users"})");
    CHECK(status("alice", event) == "");
    CHECK(status("carol", query) == "");
}

TEST_CASE("A message that is neither an event nor a query gets an error with the reason") {
    const std::string type = "error: unknown 'type' of query";
    CHECK(read(R"({"type":"balances","user":"a"})") == type);
    CHECK(read(R"({"type":"","user":"a"})") == type);
    CHECK(read(R"({"type":null,"user":"a"})") == type);
    CHECK(read(R"({"type":["balance"],"user":"a"})") == type);
    CHECK(read(R"({"type":"balance"})") == "error: member 'user' is missing");
    CHECK(read(R"({"user":"a"})") == "error: member 'action' is missing");
    CHECK(read(R"({"type":"balance","user":7})") ==
          "error: member 'user' must be a string, not a number");
    CHECK(read(R"({"type":"balance","user":"a","user":"b"})") == "error: duplicate member 'user'");
    CHECK(read(R"({"type":"balance","type":"balance","user":"a"})") ==
          "error: duplicate member 'type'");
    CHECK(read(R"({"type":"balance","user":"a"}})").starts_with("error: invalid JSON at byte 29"));
    CHECK(read("[]") == "error: expected an object, not an array");
}

TEST_CASE("A query may be nested as deeply as its size allows") {
    const std::string deep =
        fmt::format(R"({{"further":{:[>{}}{:]>{}},"type":"balance","user":"a"}})", "", 1'000'000,
                    "", 1'000'000);
    CHECK(read(deep) == "balance of a");
}

TEST_CASE("Only POST to / may carry a message") {
    const std::string_view query = R"({"type":"balance","user":"alice"})";
    CHECK(refused_with({.method = "POST", .target = "/", .body = query}) == 0);
    CHECK(refused_with({.method = "POST", .target = "/?x=1", .body = query}) == 0);
    CHECK(refused_with({.method = "POST", .target = "/balance", .body = query}) == 404);
    CHECK(refused_with({.method = "GET", .target = "/", .body = query}) == 405);
    CHECK(refused_with({.method = "POST", .target = "/", .body = "{}"}) == 400);
}

TEST_CASE("A balance response is valid JSON, whatever bytes the user's name has") {
    CHECK(balance_response("alice", 100).body == R"({"user":"alice","balance":100})");
    CHECK(balance_response("", std::numeric_limits<std::int64_t>::min()).body ==
          R"({"user":"","balance":-9223372036854775808})");
    CHECK(balance_response(std::string{"\"\\\n\0\xe2\x82\xac", 7}, 0).body ==
          "{\"user\":\"\\\"\\\\\\n\\u0000\xe2\x82\xac\",\"balance\":0}");
    CHECK(accepted_response(-5).body == R"({"status":"accepted","balance":-5})");
}
