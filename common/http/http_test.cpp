#include "common/http/http_test.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/grammar.hpp"

using namespace unfreeze;
using namespace std::literals;

namespace {

using Result = RequestParser::Result;
using Phase = RequestParser::Phase;

// ---- responses ----------------------------------------------------------------------------------

/// The response without its Date field, which is checked: it lies between the test's begin and now.
/// (time() may be a few milliseconds late.)
std::string without_date(std::string response, std::time_t begin) {
    const std::size_t field = response.find("Date: ");
    REQUIRE(field != std::string::npos);
    const std::string date = response.substr(field + 6, 29);
    bool recent = false;
    for (std::time_t second = begin; second <= std::time(nullptr) + 1; ++second) {
        recent = recent || date == http_date(second);
    }
    CHECK(recent);
    return response.erase(field, "Date: \r\n"sv.size() + date.size());
}

/// The response to a request, given as bytes, without its Date field.
std::string answer(const Response& response, std::string_view request_bytes) {
    const std::time_t begin = std::time(nullptr);
    RequestParser parser{HttpLimits{}};
    parser.feed(request_bytes);
    REQUIRE(parser.next() == Result::request);
    std::string out = "earlier bytes, ";
    append_response(out, response, parser.request());
    return without_date(out, begin);
}

/// Reads the head of a request that expects "100 Continue", and what came with it.
RequestParser expecting(std::string_view version, std::string_view framing, std::string_view body) {
    RequestParser parser{HttpLimits{}};
    parser.feed(fmt::format("POST / HTTP/{}\r\nHost: a\r\nExpect: 100-continue\r\n{}\r\n{}",
                            version, framing, body));
    return parser;
}

/// The number of bytes after which a parser that is fed one at a time refuses; 0 if it never does.
std::size_t bytes_until_refused(std::string_view bytes, const HttpLimits& limits = {}) {
    RequestParser parser{limits};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        parser.feed(bytes.substr(i, 1));
        if (parser.next() == Result::refused) {
            return i + 1;
        }
    }
    return 0;
}

/// One request with this body, whatever the cut.
void check_body(std::string_view bytes, std::string_view body, const HttpLimits& limits = {}) {
    CHECK(odd_cut(bytes, describe("POST / HTTP/1.1", body), limits) == "");
}

}  // namespace

// ---- the parser ---------------------------------------------------------------------------------

TEST_CASE("Pipelined requests are parsed in order, wherever the stream is cut in three") {
    const std::string bytes = with_length("one") +
                              chunked("2;x\r\ntw\r\n1\r\no\r\n0\r\nX: y\r\n\r\n") + "\r\n" +
                              with_line("GET /three HTTP/1.1");
    const std::string expected = describe("POST / HTTP/1.1", "one") +
                                 describe("POST / HTTP/1.1", "two") +
                                 describe("GET /three HTTP/1.1");
    const std::string_view view = bytes;
    std::string odd;
    for (std::size_t first = 0; first <= view.size(); ++first) {
        for (std::size_t second = first; odd.empty() && second <= view.size(); ++second) {
            const std::string seen = read(
                {view.substr(0, first), view.substr(first, second - first), view.substr(second)});
            odd = seen == expected ? "" : fmt::format("cut at {} and {}:\n{}", first, second, seen);
        }
    }
    CHECK(odd == "");
}

TEST_CASE("An invalid line is rejected before it ends") {
    struct {
        std::string_view what;
        std::string bytes;
    } const rows[] = {
        {"a first byte that is no token's", " "},
        {"a byte above ASCII", "\xff"},
        {"the first byte of TLS", "\x16"},
        {"a NUL", "\0"s},
        {"a control byte in the method", "GE\x01"},
        {"a control byte in the target", "GET /\x7f"},
        {"a CR that no LF follows", "GET / HTTP/1.1\r\r"},
        {"a CR before a request that no LF follows", "\rG"},
        {"a second request's first byte", with_line("GET / HTTP/1.1") + "\""},
        {"a control byte in a field's name", "GET / HTTP/1.1\r\nHo\x02"},
        {"a control byte in a field's value", "GET / HTTP/1.1\r\nHost: a\x02"},
        {"a NUL in a field's value", "GET / HTTP/1.1\r\nHost: a\0"s},
    };
    for (const auto& row : rows) {
        INFO(row.what);
        CHECK(bytes_until_refused(row.bytes + " more, and no line end") == row.bytes.size());
        CHECK(bytes_until_refused(row.bytes) == row.bytes.size());
    }
}

TEST_CASE("A malformed line is rejected at its end, before the head is complete") {
    struct {
        std::string_view what;
        std::string bytes;
    } const rows[] = {
        {"the request line", "GET / HTTP/2.0\r\n"},
        {"a field line", "GET / HTTP/1.1\r\nX\r\n"},
        {"a second length", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n"},
        {"a coding after chunked", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked, x\r\n"},
        {"an unknown expectation", "GET / HTTP/1.1\r\nExpect: x\r\n"},
        {"LF alone", "GET / HTTP/1.1\r\nHost: a\n"},
        {"a length over the limit, before the body", framed("Content-Length: 65537", "")},
        {"a chunk over the limit, before its data", chunked("10001\r\n")},
    };
    for (const auto& row : rows) {
        INFO(row.what);
        CHECK(bytes_until_refused(row.bytes + "more") == row.bytes.size());
    }
}

TEST_CASE("A head may be as long as the limit, and not longer") {
    const std::string head = with_line("GET /0123456789 HTTP/1.1");
    const std::string seen = describe("GET /0123456789 HTTP/1.1");
    const HttpLimits enough{.head_bytes_max = head.size()};
    const HttpLimits too_few{.head_bytes_max = head.size() - 1};
    CHECK(odd_cut(head, seen, enough) == "");
    check_refused(head, head_too_large, std::to_string(head.size() - 1), too_few);

    SECTION("The limit applies to each request, and does not include its body") {
        const std::string with_body =
            "PUT / HTTP/1.1\r\nHost:\r\nContent-Length: 99\r\n\r\n" + std::string(99, 'b');
        const HttpLimits limits{.head_bytes_max = with_body.size() - 99};
        const std::string one = describe("PUT / HTTP/1.1", std::string(99, 'b'));
        CHECK(odd_cut(with_body + with_body, one + one, limits) == "");
    }
    SECTION("The limit does not include empty lines before the request") {
        CHECK(odd_cut("\r\n\r\n" + head, seen, enough) == "");
        check_refused("\r\n\r\n" + head, head_too_large, "bytes", too_few);
    }
    SECTION("A head that is too long is rejected before a line end") {
        struct {
            std::string_view begin;
            Answer refusal;
        } const rows[] = {
            {"", long_method},
            {"GET /", long_target},
            {"GET / HTTP/1.1\r\nHost: a\r\nX: ", head_too_large},
        };
        for (const auto& [begin, refusal] : rows) {
            const std::string endless = std::string{begin} + std::string(100, 'a');
            CHECK(bytes_until_refused(endless, {.head_bytes_max = 64}) == 64);
            check_refused(endless, refusal, "64", {.head_bytes_max = 64});
            check_refused(endless + " \r\n\r\n", refusal, "64", {.head_bytes_max = 64});
        }
    }
    SECTION(
        "A control character within the limit is found, and bytes beyond the limit have no "
        "effect") {
        std::string endless = "GET /" + std::string(100, 'a');
        endless[64] = '\0';
        check_refused(endless, long_target, "64", {.head_bytes_max = 64});
        check_refused(endless + "\r\n", long_target, "64", {.head_bytes_max = 64});
        endless[63] = '\0';
        check_refused(endless, bad_request, "control character", {.head_bytes_max = 64});
        check_refused(endless + "\r\n", bad_request, "control character", {.head_bytes_max = 64});
        endless[63] = '\r';
        check_refused(endless, long_target, "64", {.head_bytes_max = 64});
        endless[62] = '\r';
        check_refused(endless, bad_request, "control character", {.head_bytes_max = 64});
    }
}

TEST_CASE("A body may be as long as the limit, and not longer") {
    const HttpLimits limits{.body_bytes_max = 16};
    check_body(with_length("0123456789abcdef"), "0123456789abcdef", limits);
    check_refused(with_length("0123456789abcdefg"), body_too_large, "16", limits);

    SECTION("A limit of 0 accepts requests without a body") {
        const HttpLimits none{.body_bytes_max = 0};
        check_body(with_length(""), "", none);
        check_body(chunked("0\r\n\r\n"), "", none);
        check_refused(with_length("x"), body_too_large, "0", none);
        check_refused(chunked("1\r\nx\r\n0\r\n\r\n"), body_too_large, "0", none);
    }
    SECTION("The default limits are 8 and 64 KiB") {
        CHECK(HttpLimits{}.head_bytes_max == 8192);
        CHECK(HttpLimits{}.body_bytes_max == 65536);
        const std::string body(65536, 'b');
        CHECK(read({with_length(body)}) == describe("POST / HTTP/1.1", body));
        CHECK(read({with_length(body + "b")}).starts_with("413 "));
    }
}

TEST_CASE("The chunks together may be as long as the limit, and not longer") {
    const HttpLimits limits{.body_bytes_max = 16};
    const std::string_view last = "0\r\n\r\n";
    const std::string half = "8\r\n01234567\r\n";
    check_body(chunked("10\r\n0123456789abcdef\r\n0\r\n\r\n"), "0123456789abcdef", limits);
    check_body(chunked(half + half + "0\r\n\r\n"), "0123456701234567", limits);
    check_refused(chunked("11\r\n0123456789abcdefg\r\n0\r\n\r\n"), body_too_large, "16", limits);
    check_refused(chunked(half + half + "1\r\n!\r\n0\r\n\r\n"), body_too_large, "16", limits);

    SECTION("The next request's chunks are counted from zero") {
        const std::string request = chunked(half + half).append(last);
        const std::string seen = describe("POST / HTTP/1.1", "0123456701234567");
        CHECK(odd_cut(request + request, seen + seen, limits) == "");
    }
}

TEST_CASE("A trailer section may be as long as a head, and not longer") {
    const HttpLimits limits{.head_bytes_max = 64};
    // Two lines of 31 bytes and the empty line.
    const std::string line = "X: " + std::string(26, 'x') + "\r\n";
    const std::string request =
        "POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    check_body(request + line + line + "\r\n", "", limits);
    check_refused(request + line + "x" + line + "\r\n", head_too_large, "64", limits);
    check_refused(request + line + line + "Y:\r\n\r\n", head_too_large, "64", limits);
    check_refused(request + std::string(65, 'x'), head_too_large, "64", limits);
    CHECK(read({request + std::string(64, 'x')}, limits) == "unfinished\n");
}

TEST_CASE("A chunk's size line may have 256 bytes, and not more") {
    const auto extended = [](std::size_t line_bytes) {
        return chunked("5;" + std::string(line_bytes - 4, 'x') + "\r\nhello\r\n0\r\n\r\n");
    };
    check_body(extended(256), "hello", {});
    check_refused(extended(257), bad_request, "chunked body");
    const std::string endless = chunked("5;" + std::string(300, 'x'));
    check_refused(endless, bad_request, "chunked body");
    CHECK(bytes_until_refused(endless) == chunked("").size() + 257);
}

TEST_CASE("A body in chunks of one byte is decoded completely") {
    std::string chunks;
    std::string body;
    for (std::size_t i = 0; i < HttpLimits{}.body_bytes_max; ++i) {
        const char byte = static_cast<char>(i % 251);
        body += byte;
        chunks += "1\r\n";
        chunks += byte;
        chunks += "\r\n";
    }
    const std::string request = chunked(chunks + "0\r\n\r\n");
    const std::string expected = describe("POST / HTTP/1.1", body);
    const bool read_whole = read({request}) == expected;
    const bool read_one_by_one = read(one_by_one(request)) == expected;
    CHECK(read_whole);
    CHECK(read_one_by_one);
}

TEST_CASE("One parser parses a thousand requests") {
    std::string bytes;
    std::string expected;
    for (std::size_t i = 0; i < 1000; ++i) {
        // Some bodies are longer than what an idle parser keeps of its buffer.
        const std::string body = std::to_string(i) + std::string(i % 7 == 0 ? 1500 : i % 40, 'x');
        bytes += i % 3 == 0 ? chunked(fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", body.size(), body))
                            : with_length(body);
        expected += describe("POST / HTTP/1.1", body);
    }
    for (const std::size_t step : {1U, 97U, 1024U, 50'000U, 1'000'000U}) {
        Pieces pieces;
        for (std::size_t i = 0; i < bytes.size(); i += step) {
            pieces.push_back(std::string_view{bytes}.substr(i, step));
        }
        INFO("in pieces of " << step << " bytes");
        const bool same = read(pieces) == expected;
        CHECK(same);
    }
}

TEST_CASE("A request's views are valid until next(), even if more bytes were fed with it") {
    RequestParser parser{HttpLimits{}};
    parser.feed(with_length("one") + chunked("3\r\ntwo\r\n0\r\n\r\n"));
    REQUIRE(parser.next() == Result::request);
    CHECK(describe(parser.request()) == describe("POST / HTTP/1.1", "one"));
    CHECK(parser.has_bytes());
    REQUIRE(parser.next() == Result::request);
    CHECK(describe(parser.request()) == describe("POST / HTTP/1.1", "two"));
    CHECK_FALSE(parser.has_bytes());
    CHECK(parser.next() == Result::need_more);
}

TEST_CASE("A request does not affect the next one") {
    const std::string bytes =
        "POST /long?q HTTP/1.0\r\nHost: b\r\nConnection: keep-alive\r\n"
        "Content-Length: 2\r\n\r\nhi" +
        with_line("GET / HTTP/1.1") + chunked("2\r\nhi\r\n0\r\n\r\n") +
        with_fields("Host: a\r\nConnection: close\r\n") + "GET / HTTP/1.0\r\n\r\n";
    CHECK(odd_cut(bytes, describe("POST /long?q HTTP/1.0 at /long", "hi") +
                             describe("GET / HTTP/1.1") + describe("POST / HTTP/1.1", "hi") +
                             describe("GET / HTTP/1.1", "", false) +
                             describe("GET / HTTP/1.0", "", false)) == "");
}

TEST_CASE("The CR at a body's end and a following LF are not one line end") {
    check_refused("\n" + with_line("GET / HTTP/1.1"), bad_request, "bare LF");
    const std::string good = with_length("x\r");
    const std::string refused = read({"\n"});
    CHECK(refused.starts_with("400 "));
    CHECK(odd_cut(good + "\n" + with_line("GET / HTTP/1.1"),
                  describe("POST / HTTP/1.1", "x\r") + refused) == "");
}

TEST_CASE("The bytes of a head are scanned once, even if they arrive one by one") {
    // If each piece were scanned again, a head of this size would take minutes.
    const std::string head = with_fields("Host: a\r\nX: " + std::string(1 << 20, 'x') + "\r\n");
    const HttpLimits limits{.head_bytes_max = head.size()};
    const auto begin = std::chrono::steady_clock::now();
    const bool same = read(one_by_one(head), limits) == describe("GET / HTTP/1.1");
    CHECK(same);
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("While chunks arrive, the buffer holds only the body and a part of one line") {
    ChunkedDecoder decoder{1000, 1000};
    Buffer buffer = "before";
    std::size_t body_end = buffer.size();
    std::size_t raw = body_end;
    std::size_t bytes_beside_body = 0;
    for (int chunk = 0; chunk < 1000; ++chunk) {
        for (const char byte : "1;extension\r\nx\r\n"sv) {
            buffer += byte;
            REQUIRE(decoder.decode(buffer, body_end, raw) == ChunkedDecoder::Result::need_more);
            bytes_beside_body = std::max(bytes_beside_body, buffer.size() - body_end);
        }
    }
    CHECK(std::string{buffer} == "before" + std::string(1000, 'x'));
    CHECK(bytes_beside_body == "1;extension\r"sv.size());
}

TEST_CASE("phase() says what the parser waits for") {
    RequestParser parser{HttpLimits{}};
    const auto phase_after = [&parser](std::string_view bytes) {
        parser.feed(bytes);
        const Result result = parser.next();
        CHECK(result == Result::need_more);
        return parser.phase();
    };
    CHECK(parser.phase() == Phase::idle);
    CHECK(phase_after("") == Phase::idle);

    SECTION("Through a body of a stated length") {
        CHECK(phase_after("P") == Phase::head);
        CHECK(phase_after("OST / HTTP/1.1\r") == Phase::head);
        CHECK(phase_after("\n") == Phase::head);
        CHECK(phase_after("Host: a\r\nContent-Length: 2\r\n") == Phase::head);
        CHECK(phase_after("\r\n") == Phase::body);
        CHECK(phase_after("h") == Phase::body);
        parser.feed("i");
        CHECK(parser.next() == Result::request);
        CHECK(parser.phase() == Phase::idle);
        CHECK(phase_after("") == Phase::idle);
        CHECK(phase_after("G") == Phase::head);
    }
    SECTION("Through a chunked body") {
        CHECK(phase_after(chunked("")) == Phase::body);
        CHECK(phase_after("1\r\n") == Phase::body);
        CHECK(phase_after("h\r\n0") == Phase::body);
        CHECK(phase_after("\r\nX: y\r\n") == Phase::body);
        parser.feed("\r\n");
        CHECK(parser.next() == Result::request);
        CHECK(parser.phase() == Phase::idle);
    }
    SECTION("Empty lines before a request do not begin one, so they win a client no time") {
        CHECK(phase_after("\r") == Phase::idle);
        CHECK(phase_after("\n") == Phase::idle);
        CHECK(phase_after("\r\n\r") == Phase::idle);
        CHECK(phase_after("\nG") == Phase::head);
    }
}

TEST_CASE("The method is known once the space after it has arrived, also for refusals") {
    RequestParser parser{HttpLimits{.head_bytes_max = 64}};
    CHECK(parser.method() == "");
    parser.feed("\r\nHEAD");
    REQUIRE(parser.next() == Result::need_more);
    CHECK(parser.method() == "");
    parser.feed(" / HTTP/1.1\r\n");
    CHECK(parser.method() == "HEAD");
    REQUIRE(parser.next() == Result::need_more);
    CHECK(parser.method() == "HEAD");
    parser.feed("Host: a\r\n\r\nPUT /");
    REQUIRE(parser.next() == Result::request);
    CHECK(parser.method() == "HEAD");
    REQUIRE(parser.next() == Result::need_more);
    CHECK(parser.method() == "PUT");
    for (const char* const none : {"HE\x01"
                                   "D / HTTP/1.1",
                                   "HEAD\r\nHost: a\r\n", " / HTTP/1.1"}) {
        RequestParser refusing{HttpLimits{}};
        refusing.feed(none);
        REQUIRE(refusing.next() == Result::refused);
        CHECK(refusing.method() == "");
    }
}

TEST_CASE("100 Continue is sent once, to a client that waits for it") {
    RequestParser parser = expecting("1.1", "Content-Length: 2\r\n", "");
    CHECK_FALSE(parser.take_continue());  // the head has not been read yet
    REQUIRE(parser.next() == Result::need_more);
    CHECK(parser.take_continue());
    CHECK_FALSE(parser.take_continue());
    CHECK(parser.next() == Result::need_more);
    CHECK_FALSE(parser.take_continue());
    parser.feed("h");
    CHECK(parser.next() == Result::need_more);
    CHECK_FALSE(parser.take_continue());
    parser.feed("i");
    CHECK(parser.next() == Result::request);
    CHECK_FALSE(parser.take_continue());

    SECTION("And once for the next request") {
        parser.feed(framed("Expect: 100-continue\r\nContent-Length: 9", ""));
        REQUIRE(parser.next() == Result::need_more);
        CHECK(parser.phase() == Phase::body);
        CHECK(parser.take_continue());
    }
    SECTION("But not if the next request does not expect it") {
        parser.feed(framed("Content-Length: 9", ""));
        REQUIRE(parser.next() == Result::need_more);
        CHECK(parser.phase() == Phase::body);
        CHECK_FALSE(parser.take_continue());
    }
}

TEST_CASE("100 Continue is sent if the head arrives in pieces") {
    RequestParser parser{HttpLimits{}};
    for (const std::string_view piece :
         {"POST / HTTP/1.1\r\nHost: a\r\nExp",
          "ect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "\r"}) {
        parser.feed(piece);
        REQUIRE(parser.next() == Result::need_more);
        CHECK_FALSE(parser.take_continue());
    }
    parser.feed("\n");
    REQUIRE(parser.next() == Result::need_more);
    CHECK(parser.take_continue());
}

TEST_CASE("100 Continue is not sent to a client that does not wait for it") {
    struct {
        std::string_view what;
        std::string_view version;
        std::string_view framing;
        std::string_view body;
    } const rows[] = {
        {"a byte of the body came with the head", "1.1", "Content-Length: 2\r\n", "h"},
        {"a byte of the chunks did", "1.1", "Transfer-Encoding: chunked\r\n", "2"},
        {"a whole size line did", "1.1", "Transfer-Encoding: chunked\r\n", "2\r\n"},
        {"a whole chunk did", "1.1", "Transfer-Encoding: chunked\r\n", "1\r\nh\r\n"},
        {"HTTP/1.0 has no interim answers", "1.0", "Content-Length: 2\r\n", ""},
    };
    for (const auto& row : rows) {
        INFO(row.what);
        RequestParser parser = expecting(row.version, row.framing, row.body);
        CHECK(parser.next() == Result::need_more);
        CHECK(parser.phase() == Phase::body);
        CHECK_FALSE(parser.take_continue());
    }
    for (const std::string_view framing : {"", "Content-Length: 0\r\n"}) {
        RequestParser parser = expecting("1.1", framing, "");
        CHECK(parser.next() == Result::request);  // there is no body to wait for
        CHECK_FALSE(parser.take_continue());
    }
}

TEST_CASE("A client that sends its body without waiting gets no 100 Continue") {
    RequestParser parser = expecting("1.1", "Content-Length: 2\r\n", "");
    REQUIRE(parser.next() == Result::need_more);
    parser.feed("h");
    REQUIRE(parser.next() == Result::need_more);
    CHECK_FALSE(parser.take_continue());

    SECTION("Nor is one that sent a chunk") {
        parser = expecting("1.1", "Transfer-Encoding: chunked\r\n", "");
        REQUIRE(parser.next() == Result::need_more);
        parser.feed("1\r\nh\r\n");
        REQUIRE(parser.next() == Result::need_more);
        CHECK_FALSE(parser.take_continue());
    }
}

TEST_CASE("path() is the target without scheme, authority and query") {
    struct {
        std::string_view target;
        std::string_view path;
    } const rows[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/a?b", "/a"},
        {"/a?b?c", "/a"},
        {"/?b", "/"},
        {"//a/b", "//a/b"},
        {"/a://b/c", "/a://b/c"},
        {"http://a", "/"},
        {"http://a/", "/"},
        {"http://a/b?c=/d", "/b"},
        {"http://a?b/c", "/"},
        {"http://a/b://c/d", "/b://c/d"},
        {"*", "*"},
        {"a:443", "a:443"},
        {"", "/"},
    };
    for (const auto& row : rows) {
        INFO(row.target);
        Request request;
        request.target = row.target;
        CHECK(request.path() == row.path);
    }
}

// ---- responses ----------------------------------------------------------------------------------

TEST_CASE("A response is framed as its request requires") {
    const Response response{.status = 200, .body = "{}"};
    CHECK(answer(response, with_line("GET / HTTP/1.1")) ==
          "earlier bytes, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
          "Content-Length: 3\r\n\r\n{}\n");
    CHECK(answer(response, with_fields("Host: a\r\nConnection: close\r\n")) ==
          "earlier bytes, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
          "Content-Length: 3\r\nConnection: close\r\n\r\n{}\n");

    SECTION("An HTTP/1.0 client gets Connection: keep-alive or close") {
        CHECK(answer(response, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") ==
              "earlier bytes, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n{}\n");
        CHECK(answer(response, "GET / HTTP/1.0\r\n\r\n") ==
              "earlier bytes, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              "Content-Length: 3\r\nConnection: close\r\n\r\n{}\n");
    }
    SECTION("A response to HEAD has the body's length, but no body") {
        CHECK(answer(response, with_line("HEAD / HTTP/1.1")) ==
              "earlier bytes, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              "Content-Length: 3\r\n\r\n");
    }
    SECTION("More fields and another content type are sent") {
        CHECK(answer({.status = 405,
                      .body = "",
                      .fields = "Allow: POST\r\n",
                      .content_type = "text/plain"},
                     with_line("GET / HTTP/1.1")) ==
              "earlier bytes, HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\n"
              "Content-Length: 0\r\nAllow: POST\r\n\r\n");
    }
    SECTION("Without a request, the response says Connection: close") {
        const std::time_t begin = std::time(nullptr);
        CHECK(without_date(to_bytes(response), begin) ==
              "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n"
              "Connection: close\r\n\r\n{}\n");
    }
}

TEST_CASE("Every status in use has its reason phrase") {
    struct {
        int status;
        std::string_view phrase;
    } const rows[] = {
        {200, "OK"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {299, ""},  // the space before it stays (RFC 9112 section 4)
    };
    for (const auto& row : rows) {
        const std::string bytes = to_bytes({.status = row.status, .body = ""});
        CHECK(bytes.substr(0, bytes.find("\r\n")) ==
              fmt::format("HTTP/1.1 {} {}", row.status, row.phrase));
    }
}

TEST_CASE("An error's body has the reason, and the detail if there is one") {
    const Response bare = error_response(404, "not_found");
    CHECK(bare.status == 404);
    CHECK(bare.body == R"({"status":"error","reason":"not_found"})");
    CHECK(bare.fields.empty());
    CHECK(bare.content_type == "application/json");

    const Response full = error_response(405, "method_not_allowed", "POST it", "Allow: POST\r\n");
    CHECK(full.status == 405);
    CHECK(full.body == R"({"status":"error","reason":"method_not_allowed","detail":"POST it"})");
    CHECK(full.fields == "Allow: POST\r\n");
}

TEST_CASE("Dates have the format of RFC 9110 5.6.7") {
    struct {
        long long unix_seconds;
        std::string_view date;
    } const rows[] = {
        {784'111'777, "Sun, 06 Nov 1994 08:49:37 GMT"},  // the RFC's own example
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {1, "Thu, 01 Jan 1970 00:00:01 GMT"},
        {951'782'399, "Mon, 28 Feb 2000 23:59:59 GMT"},
        {951'782'400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951'868'800, "Wed, 01 Mar 2000 00:00:00 GMT"},
        {2'147'483'648, "Tue, 19 Jan 2038 03:14:08 GMT"},  // past 31 bits
        {4'107'542'400, "Mon, 01 Mar 2100 00:00:00 GMT"},  // no leap year
        {253'402'300'799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {1'704'067'200, "Mon, 01 Jan 2024 00:00:00 GMT"},
        {1'706'745'600, "Thu, 01 Feb 2024 00:00:00 GMT"},
        {1'709'251'200, "Fri, 01 Mar 2024 00:00:00 GMT"},
        {1'711'929'600, "Mon, 01 Apr 2024 00:00:00 GMT"},
        {1'714'521'600, "Wed, 01 May 2024 00:00:00 GMT"},
        {1'717'200'000, "Sat, 01 Jun 2024 00:00:00 GMT"},
        {1'719'792'000, "Mon, 01 Jul 2024 00:00:00 GMT"},
        {1'722'470'400, "Thu, 01 Aug 2024 00:00:00 GMT"},
        {1'725'148'800, "Sun, 01 Sep 2024 00:00:00 GMT"},
        {1'727'740'800, "Tue, 01 Oct 2024 00:00:00 GMT"},
        {1'730'419'200, "Fri, 01 Nov 2024 00:00:00 GMT"},
        {1'733'011'200, "Sun, 01 Dec 2024 00:00:00 GMT"},
    };
    for (const auto& row : rows) {
        CHECK(http_date(row.unix_seconds) == row.date);
    }
}

TEST_CASE("The date of a moment is the wall clock's, read once a second", "[waits]") {
    using std::chrono::system_clock;
    const auto start = std::chrono::steady_clock::now();
    const auto second = system_clock::to_time_t(system_clock::now());
    const std::string first{http_date(start)};
    const bool now_or_next = first == http_date(second) || first == http_date(second + 1);
    CHECK(now_or_next);
    while (system_clock::now() < system_clock::from_time_t(second + 2)) {
    }
    CHECK(http_date(start) == first);
    CHECK(http_date(std::chrono::steady_clock::now()) != first);
}

// ---- the trusting parser ------------------------------------------------------------------------

TEST_CASE("stated_content_length is the head's first Content-Length, or 0") {
    struct {
        std::string_view head;
        std::size_t length;
    } const rows[] = {
        {"POST / HTTP/1.1\r\nContent-Length: 42\r\n", 42},
        {"POST / HTTP/1.1\r\nHost: a\r\ncontent-length:42\r\n\r\n", 42},
        {"POST / HTTP/1.1\r\nContent-Length: \t42 ", 42},
        {"POST http://a/ HTTP/1.1\r\nX: Content-Length: 9\r\nContent-Length: 42\r\nX: 1\r\n", 42},
        {"POST / HTTP/1.1\r\nContent-Length: 42\r\nContent-Length: 43\r\n", 42},
        {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n", 999'999'999'999'999'999},
        {"POST / HTTP/1.1\r\nContent-Length: 0\r\n", 0},
        {"POST / HTTP/1.1\r\nContent-Length: -1\r\n", 0},
        {"POST / HTTP/1.1\r\nContent-Length: 4x\r\n", 0},
        {"POST / HTTP/1.1\r\nContent-Length:\r\n", 0},
        {"POST / HTTP/1.1\r\nContent-Length : 42\r\n", 0},
        {"POST / HTTP/1.1\r\nX-Content-Length: 42\r\n", 0},
        {"POST / HTTP/1.1\r\nHost: a\r\n", 0},
        {"POST / HTTP/1.1", 0},
        {"", 0},
    };
    for (const auto& row : rows) {
        INFO(row.head);
        CHECK(stated_content_length(row.head) == row.length);
    }
}

// ---- the grammar --------------------------------------------------------------------------------

TEST_CASE("Token and control characters are told from all others") {
    const auto is_among = [](char c, std::string_view set) { return set.find(c) != set.npos; };
    std::string tokens;
    std::string control_chars;
    std::string digits;
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        tokens += is_token_char(c) ? std::string{c} : "";
        control_chars += is_control_char(c) ? std::string{c} : "";
        digits += is_digit(c) ? std::string{c} : "";
    }
    CHECK(tokens ==
          "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~");
    CHECK(control_chars.size() == 32);  // below the space all but the tab, and DEL
    CHECK(is_among('\0', control_chars));
    CHECK(is_among('\r', control_chars));
    CHECK(is_among('\n', control_chars));
    CHECK(is_among('\x1f', control_chars));
    CHECK(is_among('\x7f', control_chars));
    CHECK_FALSE(is_among('\t', control_chars));
    CHECK(digits == "0123456789");

    CHECK(is_token("a"));
    CHECK_FALSE(is_token(""));
    CHECK_FALSE(is_token("a b"));
    CHECK_FALSE(is_token("ab:"));
}

TEST_CASE("A control character is found at any position of a text") {
    for (const char filling : {'a', ' ', '\t', '\x80', '\xff'}) {
        for (std::size_t size = 0; size < 20; ++size) {
            std::string text(size, filling);
            CHECK_FALSE(contains_control_char(text));
            for (char& place : text) {
                for (int byte = 0; byte < 256; ++byte) {
                    place = static_cast<char>(byte);
                    if (contains_control_char(text) != is_control_char(place)) {
                        CAPTURE(filling, size, &place - text.data(), byte);
                        FAIL();
                    }
                }
                place = filling;
            }
        }
    }
}

TEST_CASE("equals_ignoring_case ignores the case of ASCII letters only") {
    CHECK(equals_ignoring_case("Content-LENGTH", "cONTENT-length"));
    CHECK(equals_ignoring_case("AZaz09", "azAZ09"));
    CHECK(equals_ignoring_case("", ""));
    CHECK_FALSE(equals_ignoring_case("a", "b"));
    CHECK_FALSE(equals_ignoring_case("a", "ab"));
    CHECK_FALSE(equals_ignoring_case("ab", "a"));
    CHECK_FALSE(equals_ignoring_case("@[", "`{"));      // 32 apart, as letters are
    CHECK_FALSE(equals_ignoring_case("\xc4", "\xe4"));  // letters elsewhere, not here
}

TEST_CASE("trimmed() removes the spaces and tabs around a text") {
    CHECK(trimmed("a") == "a");
    CHECK(trimmed(" \ta b\t ") == "a b");
    CHECK(trimmed("a ") == "a");
    CHECK(trimmed("\ta") == "a");
    CHECK(trimmed(" \t ").empty());
    CHECK(trimmed("").empty());
    CHECK(trimmed("\v\r") == "\v\r");
}

TEST_CASE("A list is split at its commas, without empty elements") {
    const auto elements = [](std::string_view list) {
        std::string joined;
        for_each_element(
            list, [&joined](std::string_view element) { joined += fmt::format("[{}]", element); });
        return joined;
    };
    CHECK(elements("a") == "[a]");
    CHECK(elements("a,b c ,\td") == "[a][b c][d]");
    CHECK(elements(",a, ,\t,b,") == "[a][b]");
    CHECK(elements(", ,") == "");
    CHECK(elements("") == "");
}

TEST_CASE("A field line is a token, a colon and a value") {
    struct {
        std::string_view line;
        std::string_view name;
        std::string_view value;
    } const rows[] = {
        {"A: b", "A", "b"},
        {"A:b", "A", "b"},
        {"A:\t b \t", "A", "b"},
        {"A: b: c", "A", "b: c"},
        {"A: b\tc\xff", "A", "b\tc\xff"},
        {"A:", "A", ""},
        {"", "", ""},
        {"A", "", ""},
        {": b", "", ""},
        {"A : b", "", ""},
        {" A: b", "", ""},
        {"A(: b", "", ""},
        {"A: b\rc", "", ""},
        {"A: b\0"sv, "", ""},
        {"A: b\x7f", "", ""},
    };
    for (const auto& row : rows) {
        INFO(row.line);
        CHECK(parse_field(row.line).name == row.name);
        CHECK(parse_field(row.line).value == row.value);
    }
}

TEST_CASE("A length is decimal digits only") {
    struct {
        std::string_view digits;
        long long length;
    } const rows[] = {
        {"0", 0},
        {"5", 5},
        {"0005", 5},
        {"65536", 65536},
        {"999999999999999989", 999'999'999'999'999'989},
        {"999999999999999990", 999'999'999'999'999'990},
        {"999999999999999999", 999'999'999'999'999'999},
        {"1000000000000000000", 999'999'999'999'999'999},
        {"18446744073709551621", 999'999'999'999'999'999},
        {"99999999999999999999999999999999999999999", 999'999'999'999'999'999},
        {"", -1},
        {"-1", -1},
        {"+1", -1},
        {" 1", -1},
        {"1 ", -1},
        {"0x1", -1},
        {"1,1", -1},
        {"99999999999999999999x", -1},
        {"1\0"sv, -1},
    };
    for (const auto& row : rows) {
        INFO(row.digits);
        CHECK(parse_length(row.digits) == row.length);
    }
}
