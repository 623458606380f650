#include "common/http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "common/catch.hpp"
#include "common/grammar.hpp"

using namespace unfreeze;
using namespace std::literals;

namespace {

using Result = RequestParser::Result;
using Phase = RequestParser::Phase;
using Pieces = std::vector<std::string_view>;

// ---- requests as bytes --------------------------------------------------------------------------

/// A request with this request line and nothing but a Host.
std::string with_line(std::string_view line) { return fmt::format("{}\r\nHost: a\r\n\r\n", line); }

/// A request with these fields, each line with its CRLF.
std::string with_fields(std::string_view fields) {
    return fmt::format("GET / HTTP/1.1\r\n{}\r\n", fields);
}

/// A request with these fields, but for the last one's CRLF, and this for a body.
std::string framed(std::string_view framing, std::string_view body) {
    return fmt::format("POST / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n{}", framing, body);
}

std::string hello(std::string_view framing) { return framed(framing, "hello"); }

std::string with_length(std::string_view body) {
    return framed(fmt::format("Content-Length: {}", body.size()), body);
}

/// A request with these bytes for a chunked body, the last chunk and the trailer section included.
std::string chunked(std::string_view chunks) {
    return framed("Transfer-Encoding: chunked", chunks);
}

// ---- what a parser makes of them ----------------------------------------------------------------

std::string describe(std::string_view method, std::string_view target, std::string_view path,
                     std::string_view body, bool keep_alive, int minor_version) {
    return fmt::format("{} {} ({}) HTTP/1.{} {} with {} bytes: {}\n", method, target, path,
                       minor_version, keep_alive ? "stays" : "closes", body.size(), body);
}

std::string describe(const Request& request) {
    return describe(request.method, request.target, request.path(), request.body,
                    request.keep_alive, request.minor_version);
}

/// One line for each request and for the refusal, where there is one: it is the end.
std::string read(const Pieces& pieces, const HttpLimits& limits = {}) {
    RequestParser parser{limits};
    std::string seen;
    for (const std::string_view piece : pieces) {
        parser.feed(piece);
        Result result = parser.next();
        for (; result == Result::request; result = parser.next()) {
            seen += describe(parser.request());
        }
        if (result == Result::refused) {
            return seen + fmt::format("{} {}\n", parser.refusal().status, parser.refusal().body);
        }
    }
    return parser.has_bytes() || parser.phase() != Phase::idle ? seen + "unfinished\n" : seen;
}

Pieces one_by_one(std::string_view bytes) {
    Pieces pieces;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        pieces.push_back(bytes.substr(i, 1));
    }
    return pieces;
}

/// Says which way of cutting the bytes leads to something else than expected; empty where none
/// does.
std::string odd_cut(std::string_view bytes, std::string_view expected,
                    const HttpLimits& limits = {}) {
    const auto odd = [&](std::string_view way, const Pieces& pieces) {
        const std::string seen = read(pieces, limits);
        return seen == expected ? "" : fmt::format("{}:\n{}not:\n{}", way, seen, expected);
    };
    std::string found = odd("whole", {bytes});
    if (found.empty()) {
        found = odd("one byte at a time", one_by_one(bytes));
    }
    for (std::size_t cut = 0; found.empty() && cut <= bytes.size(); ++cut) {
        found = odd(fmt::format("cut at {}", cut), {bytes.substr(0, cut), bytes.substr(cut)});
    }
    return found;
}

struct Refusal {
    int status;
    std::string_view reason;
};

constexpr Refusal bad_request{400, "bad_request"};
constexpr Refusal body_too_large{413, "body_too_large"};
constexpr Refusal target_too_long{414, "target_too_long"};
constexpr Refusal head_too_large{431, "head_too_large"};
constexpr Refusal long_method{501, "method_not_implemented"};
constexpr Refusal other_expectation{417, "expectation_failed"};
constexpr Refusal other_coding{501, "transfer_coding_not_implemented"};
constexpr Refusal other_version{505, "http_version_not_supported"};

/// Refused for this reason, with this word in the detail, and in the same words whatever the cut.
void check_refused(std::string_view bytes, const Refusal& refusal, std::string_view word,
                   const HttpLimits& limits = {}) {
    const std::string whole = read({bytes}, limits);
    const std::string begin = fmt::format(R"({} {{"status":"error","reason":"{}","detail":")",
                                          refusal.status, refusal.reason);
    CHECK(whole.substr(0, begin.size()) == begin);
    INFO(whole);
    CHECK(whole.find(word, std::min(begin.size(), whole.size())) != std::string::npos);
    CHECK(odd_cut(bytes, whole, limits) == "");
}

/// One request with this body, whatever the cut.
void check_body(std::string_view bytes, std::string_view body, const HttpLimits& limits = {}) {
    CHECK(odd_cut(bytes, describe("POST", "/", "/", body, true, 1), limits) == "");
}

// ---- the tables ---------------------------------------------------------------------------------

struct Good {
    std::string_view rule;
    std::string bytes;
    std::string_view method;
    std::string_view target;
    std::string_view path;
    std::string_view body;
    bool keep_alive = true;
    int minor_version = 1;
};

const Good good_requests[] = {
    {"9112 2.1: a request line, fields, an empty line", with_line("GET / HTTP/1.1"), "GET", "/",
     "/", ""},
    {"9112 2.2: an empty line before a request is skipped", "\r\n" + with_line("GET / HTTP/1.1"),
     "GET", "/", "/", ""},
    {"9112 2.2: so are several", "\r\n\r\n\r\n" + with_line("GET / HTTP/1.1"), "GET", "/", "/", ""},
    {"9110 9.1: any token is a method", with_line("M-SEARCH! / HTTP/1.1"), "M-SEARCH!", "/", "/",
     ""},
    {"9110 9.1: methods differ by letter case", with_line("get / HTTP/1.1"), "get", "/", "/", ""},

    {"9112 3.2.1: the query is no part of the path", with_line("GET /metrics?x=1?/y HTTP/1.1"),
     "GET", "/metrics?x=1?/y", "/metrics", ""},
    {"9112 3.2.1: a URI in the query is no host", with_line("GET /a?u=http://b/c HTTP/1.1"), "GET",
     "/a?u=http://b/c", "/a", ""},
    {"9112 3.2.1: a URI in the path is no host", with_line("GET /a/http://b/c HTTP/1.1"), "GET",
     "/a/http://b/c", "/a/http://b/c", ""},
    {"3986 2: all that may stand in a path", with_line("GET /-._~%20!$&'()*+,;=:@/[] HTTP/1.1"),
     "GET", "/-._~%20!$&'()*+,;=:@/[]", "/-._~%20!$&'()*+,;=:@/[]", ""},
    {"9112 3.2.2: a URI names the path after its host", with_line("GET http://b:80/p?q HTTP/1.1"),
     "GET", "http://b:80/p?q", "/p", ""},
    {"9112 3.2.2: or none", with_line("GET http://b HTTP/1.1"), "GET", "http://b", "/", ""},
    {"9112 3.2.2: or a query alone", with_line("GET HTTP://[::1]:80?q/ HTTP/1.1"), "GET",
     "HTTP://[::1]:80?q/", "/", ""},
    {"3986 3.1: a scheme is a letter, then letters, digits, + - .",
     with_line("GET a1+-.Z://b/p HTTP/1.1"), "GET", "a1+-.Z://b/p", "/p", ""},
    {"9112 3.2.3: CONNECT names a host and a port", with_line("CONNECT b.example:443 HTTP/1.1"),
     "CONNECT", "b.example:443", "b.example:443", ""},
    {"9112 3.2.4: OPTIONS may mean the whole server", with_line("OPTIONS * HTTP/1.1"), "OPTIONS",
     "*", "*", ""},

    {"9112 3.2: Host may be empty", with_fields("Host:\r\n"), "GET", "/", "/", ""},
    {"9110 7.2: Host is a name and perhaps a port", with_fields("Host: b-c.example:8080\r\n"),
     "GET", "/", "/", ""},
    {"3986 3.2.3: a port may be empty", with_fields("Host: b:\r\n"), "GET", "/", "/", ""},
    {"3986 3.2.2: an IPv6 address stands in brackets", with_fields("Host: [::fF:127.0.0.1]\r\n"),
     "GET", "/", "/", ""},
    {"3986 3.2.2: its port behind them", with_fields("Host: [2001:db8::1]:80\r\n"), "GET", "/", "/",
     ""},
    {"9112 3.2: HTTP/1.0 knew no Host", "GET / HTTP/1.0\r\n\r\n", "GET", "/", "/", "", false, 0},

    {"9112 5.1: whitespace around a value", with_fields("Host: \t a \t\r\n"), "GET", "/", "/", ""},
    {"9110 5.5: a tab, bytes above ASCII and nothing at all are values",
     with_fields("Host: a\r\nX: a\tb\xff\xc3\r\nY:\r\n"), "GET", "/", "/", ""},
    {"9110 5.1: field names in any letter case",
     "POST / HTTP/1.1\r\nHOST: a\r\ncontent-LENGTH: 2\r\n\r\nhi", "POST", "/", "/", "hi"},
    {"9110 5.1: a longer name is another field",
     hello("X-Content-Length: 9\r\nContent-Length: 5\r\n"
           "Content-Lengths: 9\r\nHosts: a b"),
     "POST", "/", "/", "hello"},

    {"9112 9.3: HTTP/1.1 stays unless it says close", with_fields("Host: a\r\nConnection: x\r\n"),
     "GET", "/", "/", ""},
    {"9112 9.3: close", with_fields("Host: a\r\nConnection: close\r\n"), "GET", "/", "/", "", false,
     1},
    {"9110 7.6.1: in a list, in any letter case",
     with_fields("Host: a\r\nConnection: x,\tCLOSE\r\n"), "GET", "/", "/", "", false, 1},
    {"9110 5.3: and in a second line",
     with_fields("Host: a\r\nConnection: x\r\nConnection: close\r\n"
                 "Connection: y\r\n"),
     "GET", "/", "/", "", false, 1},
    {"9110 5.6.1.2: empty elements of a list are skipped",
     with_fields("Host: a\r\nConnection: , ,close,\r\n"), "GET", "/", "/", "", false, 1},
    {"9110 7.6.1: an option is a whole word",
     with_fields("Host: a\r\nConnection: closed, x close\r\n"), "GET", "/", "/", ""},
    {"9112 9.3: HTTP/1.0 stays where it says so",
     "GET / HTTP/1.0\r\nConnection: x, Keep-Alive, y\r\n\r\n", "GET", "/", "/", "", true, 0},
    {"9112 9.3: close overrides that", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
     "GET", "/", "/", "", false, 0},
    {"9112 9.3: in any order", with_fields("Host: a\r\nConnection: close, keep-alive\r\n"), "GET",
     "/", "/", "", false, 1},

    {"9112 6.2: a body of a stated length", hello("Content-Length: 5"), "POST", "/", "/", "hello"},
    {"9112 6.2: of none", with_length(""), "POST", "/", "/", ""},
    {"9112 6.2: of any bytes", with_length("\r\n\0\n\xff"sv), "POST", "/", "/", "\r\n\0\n\xff"sv},
    {"9112 6.2: of one that looks like a request", with_length("GET / HTTP/1.1\r\n\r\n"), "POST",
     "/", "/", "GET / HTTP/1.1\r\n\r\n"},
    {"9110 8.6: a length may begin with zeros", hello("Content-Length: \t0000000000000000000005 "),
     "POST", "/", "/", "hello"},
    {"9110 9.3.1: GET may have a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
     "GET", "/", "/", "hi"},
    {"9112 6.2: so may HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", "POST", "/",
     "/", "hi", false, 0},

    {"9110 2.5: a higher minor version is read as the highest known",
     "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET", "/", "/", ""},

    {"9112 7.1: one chunk", chunked("5\r\nhello\r\n0\r\n\r\n"), "POST", "/", "/", "hello"},
    {"9112 7.1: several", chunked("1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n"), "POST", "/", "/",
     "hello"},
    {"9112 7.1: none", chunked("0\r\n\r\n"), "POST", "/", "/", ""},
    {"9112 7.1: of any bytes", chunked("6\r\n\r\n0\r\n\r\r\n1\r\n\0\r\n0\r\n\r\n"sv), "POST", "/",
     "/", "\r\n0\r\n\r\0"sv},
    {"9112 7.1: sizes are hexadecimal, in any letter case",
     chunked("a\r\n0123456789\r\nB\r\n0123456789a\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"), "POST",
     "/", "/", "01234567890123456789a0123456789abcdef"},
    {"9112 7.1: sizes may begin with zeros",
     chunked("00000000000000000005\r\nhello\r\n000\r\n\r\n"), "POST", "/", "/", "hello"},
    {"9112 7.1.1: extensions are read over",
     chunked("5;a\r\nhello\r\n1;a=b;c=\"5;\t\xff\"\r\n!\r\n0;a=0\r\n\r\n"), "POST", "/", "/",
     "hello!"},
    {"9112 7.1.1: whitespace before one, too", chunked("5 \t;a\r\nhello\r\n0 ;a\r\n\r\n"), "POST",
     "/", "/", "hello"},
    {"9112 7.1.2: trailer fields are dropped",
     chunked("5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 9\r\n\r\n"), "POST", "/", "/", "hello"},
    {"9112 7: codings in any letter case, among empty elements",
     framed("Transfer-Encoding: , Chunked ,", "1\r\n!\r\n0\r\n\r\n"), "POST", "/", "/", "!"},

    {"9110 10.1.1: Expect: 100-continue, in any letter case",
     hello("Expect: 100-Continue\r\nContent-Length: 5"), "POST", "/", "/", "hello"},
    {"9110 10.1.1: with chunks",
     framed("Expect: 100-continue\r\nTransfer-Encoding: chunked", "1\r\n!\r\n0\r\n\r\n"), "POST",
     "/", "/", "!"},
};

struct Bad {
    std::string_view rule;
    std::string bytes;
    Refusal refusal;
    std::string_view word;  // of the detail
};

const Bad bad_requests[] = {
    {"9112 3: a request line has three words", with_line("GET /"), bad_request, "METHOD TARGET"},
    {"9112 3: one word is no request line", with_line("GET"), bad_request, "METHOD TARGET"},
    {"9112 3: one space before the target, not two", with_line("GET  / HTTP/1.1"), bad_request,
     "target"},
    {"9112 3: one space behind the target, not two", with_line("GET /  HTTP/1.1"), bad_request,
     "target"},
    {"9112 3: no space behind the version", with_line("GET / HTTP/1.1 "), bad_request, "version"},
    {"9112 3: no space before the method", with_line(" GET / HTTP/1.1"), bad_request, "method"},
    {"9112 3: a tab is no space", with_line("GET\t/\tHTTP/1.1"), bad_request, "METHOD TARGET"},
    {"9112 3: no tab beside a space", with_line("GET\t /\t HTTP/1.1"), bad_request, "token"},
    {"9112 3.1: a method is a token", with_line("G(T / HTTP/1.1"), bad_request, "token"},
    {"9112 3.1: its first byte is one of a token's", with_line("\xff / HTTP/1.1"), bad_request,
     "method"},
    {"9112 3.1: the method is not empty", with_line(" / HTTP/1.1"), bad_request, "method"},

    {"9112 3.2: the target is not empty", with_line("GET  HTTP/1.1"), bad_request, "target"},
    {"9112 3.2: a path begins with /", with_line("GET a HTTP/1.1"), bad_request, "target"},
    {"9112 3.2: holds no space", with_line("GET /a b HTTP/1.1"), bad_request, "target"},
    {"9112 3.2: no fragment", with_line("GET /a#b HTTP/1.1"), bad_request, "target"},
    {"3986 2: no quotation mark", with_line("GET /\" HTTP/1.1"), bad_request, "target"},
    {"3986 2: no backslash", with_line("GET /\\ HTTP/1.1"), bad_request, "target"},
    {"3986 2: nothing above ASCII", with_line("GET /\xc3\xa9 HTTP/1.1"), bad_request, "target"},
    {"9112 3.2: no tab", with_line("GET /a\tb HTTP/1.1"), bad_request, "target"},
    {"9112 3.2.2: a URI begins with a scheme", with_line("GET ://b/ HTTP/1.1"), bad_request,
     "target"},
    {"3986 3.1: a scheme with a letter", with_line("GET 1a://b/ HTTP/1.1"), bad_request, "target"},
    {"3986 3.1: there is no / in it", with_line("GET a/b?u=http://c/ HTTP/1.1"), bad_request,
     "target"},
    {"9110 4.2.1: a URI without a host is invalid", with_line("GET http:///p HTTP/1.1"),
     bad_request, "target"},
    {"9110 4.2.1: or with a port alone", with_line("GET http://:80/p HTTP/1.1"), bad_request,
     "target"},
    {"9110 4.2.4: a user in a URI is an error", with_line("GET http://u@b/p HTTP/1.1"), bad_request,
     "target"},
    {"3986 3.2.3: a port is digits", with_line("GET http://b:c/p HTTP/1.1"), bad_request, "target"},
    {"3986 3.2.2: brackets close", with_line("GET http://[::1/p HTTP/1.1"), bad_request, "target"},
    {"9112 3.2.3: CONNECT takes no path", with_line("CONNECT / HTTP/1.1"), bad_request, "target"},
    {"9112 3.2.3: CONNECT takes no empty target", with_line("CONNECT  HTTP/1.1"), bad_request,
     "target"},
    {"9112 3.2.3: no host without a port", with_line("CONNECT b HTTP/1.1"), bad_request, "target"},
    {"9112 3.2.3: or an empty one", with_line("CONNECT b: HTTP/1.1"), bad_request, "target"},
    {"9112 3.2.3: no address without one", with_line("CONNECT [::1] HTTP/1.1"), bad_request,
     "target"},
    {"9112 3.2.3: others take no host", with_line("GET b:443 HTTP/1.1"), bad_request, "target"},
    {"9112 3.2.4: GET takes no asterisk", with_line("GET * HTTP/1.1"), bad_request, "target"},

    {"9112 2.3: HTTP in capitals", with_line("GET / http/1.1"), bad_request, "version"},
    {"9112 2.3: no other name", with_line("GET / HTTQ/1.1"), bad_request, "version"},
    {"9112 2.3: no more than one digit behind the dot", with_line("GET / HTTP/1.10"), bad_request,
     "version"},
    {"9112 2.3: no less than one", with_line("GET / HTTP/1."), bad_request, "version"},
    {"9112 2.3: a dot between", with_line("GET / HTTP/1,1"), bad_request, "version"},
    {"9112 2.3: the major version is a digit", with_line("GET / HTTP/x.1"), bad_request, "version"},
    {"9112 2.3: the minor version is a digit", with_line("GET / HTTP/1.x"), bad_request, "version"},
    {"9110 15.6.6: another version", with_line("GET / HTTP/2.0"), other_version, "HTTP/1.1"},
    {"9110 15.6.6: an older one", with_line("GET / HTTP/0.9"), other_version, "HTTP/1.1"},
    {"9113 3.4: how HTTP/2 begins", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", other_version, "HTTP/1.1"},
    {"8446 5.1: how TLS begins", "\x16\x03\x01\x02\x00\x01"s, bad_request, "method"},

    {"9112 2.2: LF alone ends no line", "GET / HTTP/1.1\nHost: a\r\n\r\n", bad_request, "LF alone"},
    {"9112 2.2: nor a field", with_fields("Host: a\n"), bad_request, "LF alone"},
    {"9112 2.2: nor the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", bad_request, "LF alone"},
    {"9112 2.2: nor an empty line before it", "\n" + with_line("GET / HTTP/1.1"), bad_request,
     "LF alone"},
    {"9112 2.2: CR alone ends none", "GET / HTTP/1.1\rHost: a\r\n\r\n", bad_request,
     "control byte"},
    {"9112 2.2: nor a field", with_fields("Host: a\rX: b\r\n"), bad_request, "control byte"},
    {"9112 2.2: nor is it whitespace", with_fields("Host: a\r\r\n"), bad_request, "control byte"},
    {"9112 2.2: nor anything before a request", "\r" + with_line("GET / HTTP/1.1"), bad_request,
     "control byte"},
    {"9112 2.2: whitespace before the first field", with_fields(" Host: a\r\n"), bad_request,
     "folded"},
    {"9112 3: no NUL in a target", with_line("GET /\0 HTTP/1.1"sv), bad_request, "control byte"},
    {"9110 5.5: nor in a value", with_fields("Host: a\r\nX: a\0b\r\n"sv), bad_request,
     "control byte"},
    {"9110 5.1: nor in a name", with_fields("Host: a\r\nX\0: b\r\n"sv), bad_request,
     "control byte"},
    {"9110 5.5: no other control", with_fields("Host: a\r\nX: \x0b\r\n"), bad_request,
     "control byte"},
    {"9110 5.5: not the last one either", with_fields("Host: a\r\nX: \x7f\r\n"), bad_request,
     "control byte"},

    {"9112 5.1: no space before the colon", hello("Content-Length : 5"), bad_request, "colon"},
    {"9112 5.1: no tab", with_fields("Host\t: a\r\n"), bad_request, "colon"},
    {"9112 5: a colon", with_fields("Host: a\r\nX\r\n"), bad_request, "colon"},
    {"9112 5: a name before it", with_fields("Host: a\r\n: b\r\n"), bad_request, "colon"},
    {"9110 5.1: a name is a token", with_fields("Host: a\r\nX@: b\r\n"), bad_request, "colon"},
    {"9110 5.1: of ASCII", with_fields("Host: a\r\nX\xff: b\r\n"), bad_request, "colon"},
    {"9112 5.2: a folded line", with_fields("Host: a\r\nX: b\r\n c\r\n"), bad_request, "folded"},
    {"9112 5.2: folded by a tab", with_fields("Host: a\r\nX: b\r\n\tc\r\n"), bad_request, "folded"},
    {"9112 5.2: a field that hides behind a fold", hello("X: b\r\n Content-Length: 5"), bad_request,
     "folded"},

    {"9112 3.2: HTTP/1.1 has a Host", with_fields(""), bad_request, "asks for a Host"},
    {"9112 3.2: one Host, not two", with_fields("Host: a\r\nHost: b\r\n"), bad_request,
     "Host is one"},
    {"9112 3.2: not two that agree", with_fields("Host: a\r\nhost: a\r\n"), bad_request,
     "Host is one"},
    {"9110 7.2: no space in it", with_fields("Host: a b\r\n"), bad_request, "Host is one"},
    {"9110 7.2: no list", with_fields("Host: a,b\r\n"), bad_request, "Host is one"},
    {"9110 7.2: no path", with_fields("Host: a/b\r\n"), bad_request, "Host is one"},
    {"9110 7.2: no query", with_fields("Host: a?b\r\n"), bad_request, "Host is one"},
    {"9110 7.2: no user", with_fields("Host: u@a\r\n"), bad_request, "Host is one"},
    {"9110 7.2: a port of digits", with_fields("Host: a:b\r\n"), bad_request, "Host is one"},
    {"9110 7.2: one port", with_fields("Host: a:80:80\r\n"), bad_request, "Host is one"},
    {"9110 7.2: no port without a host", with_fields("Host: :80\r\n"), bad_request, "Host is one"},
    {"3986 3.2.2: an address in brackets", with_fields("Host: ::1\r\n"), bad_request,
     "Host is one"},
    {"3986 3.2.2: brackets come in twos", with_fields("Host: [::1\r\n"), bad_request,
     "Host is one"},
    {"3986 3.2.2: nothing behind but a port", with_fields("Host: [::1]a\r\n"), bad_request,
     "Host is one"},
    {"3986 3.2.2: no name in them", with_fields("Host: [host]\r\n"), bad_request, "Host is one"},
    {"3986 3.2.2: no empty address", with_fields("Host: []\r\n"), bad_request, "Host is one"},

    {"9112 6.3: a length is digits", hello("Content-Length: five"), bad_request, "decimal number"},
    {"9112 6.3: no sign", hello("Content-Length: +5"), bad_request, "decimal number"},
    {"9112 6.3: no other sign", hello("Content-Length: -5"), bad_request, "decimal number"},
    {"9112 6.3: not hexadecimal", hello("Content-Length: 0x5"), bad_request, "decimal number"},
    {"9112 6.3: one length, no list", hello("Content-Length: 5,5"), bad_request, "decimal number"},
    {"9112 6.3: no list with a space", hello("Content-Length: 5, 5"), bad_request,
     "decimal number"},
    {"9112 6.3: not in two pieces", hello("Content-Length: 5 5"), bad_request, "decimal number"},
    {"9112 6.3: a length is not empty", hello("Content-Length:"), bad_request, "decimal number"},
    {"9112 6.3: no fraction", hello("Content-Length: 5.0"), bad_request, "decimal number"},
    {"9112 6.3: no exponent", hello("Content-Length: 5e0"), bad_request, "decimal number"},
    {"9112 6.3: two that differ", hello("Content-Length: 5\r\nContent-Length: 6"), bad_request,
     "given once"},
    {"9112 6.3: two that agree", hello("Content-Length: 5\r\nContent-Length: 5"), bad_request,
     "given once"},
    {"9112 6.3: a zero first", hello("Content-Length: 0\r\nContent-Length: 5"), bad_request,
     "given once"},
    {"9110 8.6: 2 to the 64th and 5", hello("Content-Length: 18446744073709551621"), body_too_large,
     "65536"},
    {"9110 8.6: 2 to the 32nd and 5", hello("Content-Length: 4294967301"), body_too_large, "65536"},
    {"9110 8.6: a length longer than any number",
     hello("Content-Length: 1" + std::string(100, '0')), body_too_large, "65536"},

    {"9112 6.1: a length beside chunks", hello("Content-Length: 5\r\nTransfer-Encoding: chunked"),
     bad_request, "a length beside"},
    {"9112 6.1: in the other order", hello("Transfer-Encoding: chunked\r\nContent-Length: 5"),
     bad_request, "a length beside"},
    {"9112 6.1: of zero", hello("Transfer-Encoding: chunked\r\nContent-Length: 0"), bad_request,
     "a length beside"},
    {"9112 6.1: another coding", hello("Transfer-Encoding: gzip"), bad_request, "not the last"},
    {"9112 6.1: before chunked", hello("Transfer-Encoding: gzip, chunked"), other_coding,
     "chunked"},
    {"9112 6.3: behind chunked", hello("Transfer-Encoding: chunked, gzip"), bad_request,
     "behind chunked"},
    {"9112 6.3: behind it, in a second line",
     hello("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), bad_request,
     "behind chunked"},
    {"9112 6.1: chunked twice", hello("Transfer-Encoding: chunked, chunked"), bad_request,
     "behind chunked"},
    {"9112 6.1: in two lines", hello("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
     bad_request, "behind chunked"},
    {"9112 6.1: no coding at all", hello("Transfer-Encoding:"), bad_request, "none at all"},
    {"9112 6.1: a list of none", hello("Transfer-Encoding: ,"), bad_request, "none at all"},
    {"9112 6.1: identity is no more", hello("Transfer-Encoding: identity"), bad_request,
     "not the last"},
    {"9112 6.1: nearly chunked", hello("Transfer-Encoding: xchunked"), bad_request, "not the last"},
    {"9112 7: chunked takes no parameter", hello("Transfer-Encoding: chunked;a=b"), bad_request,
     "not the last"},
    {"9112 7: and no quotation marks", hello("Transfer-Encoding: \"chunked\""), bad_request,
     "not the last"},
    {"9112 6.1: HTTP/1.0 has none",
     "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad_request, "HTTP/1.0"},

    {"9110 10.1.1: another expectation", hello("Expect: 200-ok\r\nContent-Length: 5"),
     other_expectation, "100-continue"},
    {"9110 10.1.1: one more", hello("Expect: 100-continue, x\r\nContent-Length: 5"),
     other_expectation, "100-continue"},
    {"9110 10.1.1: in a second line", hello("Expect: 100-continue\r\nExpect: x"), other_expectation,
     "100-continue"},

    {"9112 7.1: a size", chunked("\r\n\r\n"), bad_request, "chunked body"},
    {"9112 7.1: of digits", chunked("x\r\n"), bad_request, "chunked body"},
    {"9112 7.1: no sign", chunked("+5\r\nhello\r\n0\r\n\r\n"), bad_request, "chunked body"},
    {"9112 7.1: no other sign", chunked("-5\r\nhello\r\n0\r\n\r\n"), bad_request, "chunked body"},
    {"9112 7.1: hexadecimal without saying so", chunked("0x5\r\nhello\r\n0\r\n\r\n"), bad_request,
     "chunked body"},
    {"9112 7.1: nothing before it", chunked(" 5\r\nhello\r\n0\r\n\r\n"), bad_request,
     "chunked body"},
    {"9112 7.1: nothing behind it", chunked("5 \r\nhello\r\n0\r\n\r\n"), bad_request,
     "chunked body"},
    {"9112 7.1.1: an extension has a semicolon", chunked("5 a\r\nhello\r\n0\r\n\r\n"), bad_request,
     "chunked body"},
    {"9112 7.1.1: and no control byte", chunked("5;\0\r\nhello\r\n0\r\n\r\n"sv), bad_request,
     "chunked body"},
    {"9112 2.2: no CR alone", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), bad_request, "chunked body"},
    {"9112 2.2: no LF alone", chunked("5\nhello\r\n0\r\n\r\n"), bad_request, "chunked body"},
    {"9112 2.2: none behind an extension", chunked("5;a\nhello\r\n0\r\n\r\n"), bad_request,
     "chunked body"},
    {"9112 7.1: data as long as stated", chunked("4\r\nhello\r\n0\r\n\r\n"), bad_request,
     "chunked body"},
    {"9112 7.1: not shorter", chunked("7\r\nhello\r\n0\r\n\r\n"), bad_request, "chunked body"},
    {"9112 7.1: CR LF behind them", chunked("5\r\nhello\n0\r\n\r\n"), bad_request, "chunked body"},
    {"9112 7.1: nothing else", chunked("5\r\nhelloxx0\r\n\r\n"), bad_request, "chunked body"},
    {"9112 7.1: a size that 64 bits can't hold", chunked("10000000000000005\r\nhello\r\n"),
     body_too_large, "65536"},
    {"9112 7.1: a size just below 2 to the 64th", chunked("1\r\nh\r\nffffffffffffffff\r\nello"),
     body_too_large, "65536"},
    {"9112 7.1.2: trailer fields are fields", chunked("0\r\nX\r\n\r\n"), bad_request,
     "chunked body"},
    {"9112 7.1.2: no space before their colon", chunked("0\r\nX : b\r\n\r\n"), bad_request,
     "chunked body"},
    {"9112 7.1.2: no fold", chunked("0\r\nX: a\r\n b: c\r\n\r\n"), bad_request, "chunked body"},
    {"9112 7.1.2: no control byte", chunked("0\r\nX: \x01\r\n\r\n"), bad_request, "chunked body"},
    {"9112 2.2: LF alone ends none", chunked("0\r\nX: a\n\r\n"), bad_request, "chunked body"},
    {"9112 2.2: nor the section", chunked("0\r\n\n"), bad_request, "chunked body"},
};

std::string described(const Good& row) {
    return describe(row.method, row.target, row.path, row.body, row.keep_alive, row.minor_version);
}

// ---- responses ----------------------------------------------------------------------------------

/// The response without its Date field, which is checked: it is now, or was when the test began;
/// time() lags behind by a few milliseconds.
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
    std::string out = "what was there before, ";
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

/// The bytes after which a parser that is fed one at a time refuses; 0 where it never does.
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

}  // namespace

// ---- the parser ---------------------------------------------------------------------------------

TEST_CASE("Good requests are read, however their bytes are cut") {
    for (const Good& row : good_requests) {
        INFO("RFC " << row.rule);
        CHECK(odd_cut(row.bytes, described(row)) == "");
    }
}

TEST_CASE("Bad requests are refused in the same words, however their bytes are cut") {
    for (const Bad& row : bad_requests) {
        INFO("RFC " << row.rule);
        check_refused(row.bytes, row.refusal, row.word);
    }
}

TEST_CASE("A bad request behind a good one is refused all the same") {
    const std::string good = with_length("hello");
    for (const Bad& row : bad_requests) {
        INFO("RFC " << row.rule);
        CHECK(odd_cut(good + row.bytes, read({good}) + read({row.bytes})) == "");
    }
}

TEST_CASE("No byte of a request can be left out at its end") {
    for (const Good& row : good_requests) {
        const std::string_view bytes = row.bytes;
        INFO("RFC " << row.rule);
        CHECK(read({bytes.substr(0, bytes.size() - 1)}) == "unfinished\n");
    }
}

TEST_CASE("Requests in a row come out in their order, wherever the stream is cut in two") {
    std::string bytes;
    std::string expected;
    for (const Good& row : good_requests) {
        bytes += row.bytes;
        expected += described(row);
    }
    CHECK(odd_cut(bytes, expected) == "");
}

TEST_CASE("Requests in a row come out in their order, wherever the stream is cut in three") {
    const std::string bytes = with_length("one") +
                              chunked("2;x\r\ntw\r\n1\r\no\r\n0\r\nX: y\r\n\r\n") + "\r\n" +
                              with_line("GET /three HTTP/1.1");
    const std::string expected = describe("POST", "/", "/", "one", true, 1) +
                                 describe("POST", "/", "/", "two", true, 1) +
                                 describe("GET", "/three", "/three", "", true, 1);
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

TEST_CASE("What can't become a request is refused before its line ends") {
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
        {"CR with something else behind it", "GET / HTTP/1.1\r\r"},
        {"CR before a request, with no LF behind it", "\rG"},
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

TEST_CASE("A bad line is refused at its end, before the head is whole") {
    struct {
        std::string_view what;
        std::string bytes;
    } const rows[] = {
        {"the request line", "GET / HTTP/2.0\r\n"},
        {"a field line", "GET / HTTP/1.1\r\nX\r\n"},
        {"a second length", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n"},
        {"a coding behind chunked", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked, x\r\n"},
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

TEST_CASE("A head may be as long as the limit and no longer") {
    const std::string head = with_line("GET /0123456789 HTTP/1.1");
    const std::string seen = describe("GET", "/0123456789", "/0123456789", "", true, 1);
    const HttpLimits enough{.head_bytes_max = head.size()};
    const HttpLimits too_few{.head_bytes_max = head.size() - 1};
    CHECK(odd_cut(head, seen, enough) == "");
    check_refused(head, head_too_large, std::to_string(head.size() - 1), too_few);

    SECTION("Each request has the whole limit to itself, and its body is no part of it") {
        const std::string with_body =
            "PUT / HTTP/1.1\r\nHost:\r\nContent-Length: 99\r\n\r\n" + std::string(99, 'b');
        const HttpLimits limits{.head_bytes_max = with_body.size() - 99};
        const std::string one = describe("PUT", "/", "/", std::string(99, 'b'), true, 1);
        CHECK(odd_cut(with_body + with_body, one + one, limits) == "");
    }
    SECTION("Empty lines before the request are no part of it") {
        CHECK(odd_cut("\r\n\r\n" + head, seen, enough) == "");
        check_refused("\r\n\r\n" + head, head_too_large, "bytes", too_few);
    }
    SECTION("It does not take a line end to see that a head is too long") {
        struct {
            std::string_view begin;
            Refusal refusal;
        } const rows[] = {
            {"", long_method},
            {"GET /", target_too_long},
            {"GET / HTTP/1.1\r\nHost: a\r\nX: ", head_too_large},
        };
        for (const auto& [begin, refusal] : rows) {
            const std::string endless = std::string{begin} + std::string(100, 'a');
            CHECK(bytes_until_refused(endless, {.head_bytes_max = 64}) == 64);
            check_refused(endless, refusal, "64", {.head_bytes_max = 64});
            check_refused(endless + " \r\n\r\n", refusal, "64", {.head_bytes_max = 64});
        }
    }
    SECTION("A control byte is one as far as the limit goes, and nothing behind it counts") {
        std::string endless = "GET /" + std::string(100, 'a');
        endless[64] = '\0';
        check_refused(endless, target_too_long, "64", {.head_bytes_max = 64});
        check_refused(endless + "\r\n", target_too_long, "64", {.head_bytes_max = 64});
        endless[63] = '\0';
        check_refused(endless, bad_request, "control byte", {.head_bytes_max = 64});
        check_refused(endless + "\r\n", bad_request, "control byte", {.head_bytes_max = 64});
        endless[63] = '\r';
        check_refused(endless, target_too_long, "64", {.head_bytes_max = 64});
        endless[62] = '\r';
        check_refused(endless, bad_request, "control byte", {.head_bytes_max = 64});
    }
}

TEST_CASE("A body may be as long as the limit and no longer") {
    const HttpLimits limits{.body_bytes_max = 16};
    check_body(with_length("0123456789abcdef"), "0123456789abcdef", limits);
    check_refused(with_length("0123456789abcdefg"), body_too_large, "16", limits);

    SECTION("A limit of nothing lets requests without a body pass") {
        const HttpLimits none{.body_bytes_max = 0};
        check_body(with_length(""), "", none);
        check_body(chunked("0\r\n\r\n"), "", none);
        check_refused(with_length("x"), body_too_large, "0", none);
        check_refused(chunked("1\r\nx\r\n0\r\n\r\n"), body_too_large, "0", none);
    }
    SECTION("The limits that come by themselves are 8 and 64 KiB") {
        CHECK(HttpLimits{}.head_bytes_max == 8192);
        CHECK(HttpLimits{}.body_bytes_max == 65536);
        const std::string body(65536, 'b');
        CHECK(read({with_length(body)}) == describe("POST", "/", "/", body, true, 1));
        CHECK(read({with_length(body + "b")}).starts_with("413 "));
    }
}

TEST_CASE("The chunks together may be as long as the limit and no longer") {
    const HttpLimits limits{.body_bytes_max = 16};
    const std::string_view last = "0\r\n\r\n";
    const std::string half = "8\r\n01234567\r\n";
    check_body(chunked("10\r\n0123456789abcdef\r\n0\r\n\r\n"), "0123456789abcdef", limits);
    check_body(chunked(half + half + "0\r\n\r\n"), "0123456701234567", limits);
    check_refused(chunked("11\r\n0123456789abcdefg\r\n0\r\n\r\n"), body_too_large, "16", limits);
    check_refused(chunked(half + half + "1\r\n!\r\n0\r\n\r\n"), body_too_large, "16", limits);

    SECTION("The next request's chunks are counted from nothing") {
        const std::string request = chunked(half + half).append(last);
        const std::string seen = describe("POST", "/", "/", "0123456701234567", true, 1);
        CHECK(odd_cut(request + request, seen + seen, limits) == "");
    }
}

TEST_CASE("A trailer section may be as long as a head and no longer") {
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

TEST_CASE("A chunk's size line may have 256 bytes and no more") {
    const auto extended = [](std::size_t line_bytes) {
        return chunked("5;" + std::string(line_bytes - 4, 'x') + "\r\nhello\r\n0\r\n\r\n");
    };
    check_body(extended(256), "hello", {});
    check_refused(extended(257), bad_request, "chunked body");
    const std::string endless = chunked("5;" + std::string(300, 'x'));
    check_refused(endless, bad_request, "chunked body");
    CHECK(bytes_until_refused(endless) == chunked("").size() + 257);
}

TEST_CASE("A body in chunks of one byte is read whole") {
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
    const std::string expected = describe("POST", "/", "/", body, true, 1);
    const bool read_whole = read({request}) == expected;
    const bool read_one_by_one = read(one_by_one(request)) == expected;
    CHECK(read_whole);
    CHECK(read_one_by_one);
}

TEST_CASE("A thousand requests go through one parser") {
    std::string bytes;
    std::string expected;
    for (std::size_t i = 0; i < 1000; ++i) {
        // Some bodies are longer than what an idle parser keeps of its buffer.
        const std::string body = std::to_string(i) + std::string(i % 7 == 0 ? 1500 : i % 40, 'x');
        bytes += i % 3 == 0 ? chunked(fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", body.size(), body))
                            : with_length(body);
        expected += describe("POST", "/", "/", body, true, 1);
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

TEST_CASE("A request's views stand until the next one is asked for, though more was fed with it") {
    RequestParser parser{HttpLimits{}};
    parser.feed(with_length("one") + chunked("3\r\ntwo\r\n0\r\n\r\n"));
    REQUIRE(parser.next() == Result::request);
    CHECK(describe(parser.request()) == describe("POST", "/", "/", "one", true, 1));
    CHECK(parser.has_bytes());
    REQUIRE(parser.next() == Result::request);
    CHECK(describe(parser.request()) == describe("POST", "/", "/", "two", true, 1));
    CHECK_FALSE(parser.has_bytes());
    CHECK(parser.next() == Result::need_more);
}

TEST_CASE("Nothing that one request said is remembered for the next") {
    const std::string bytes =
        "POST /long?q HTTP/1.0\r\nHost: b\r\nConnection: keep-alive\r\n"
        "Content-Length: 2\r\n\r\nhi" +
        with_line("GET / HTTP/1.1") + chunked("2\r\nhi\r\n0\r\n\r\n") +
        with_fields("Host: a\r\nConnection: close\r\n") + "GET / HTTP/1.0\r\n\r\n";
    CHECK(odd_cut(bytes, describe("POST", "/long?q", "/long", "hi", true, 0) +
                             describe("GET", "/", "/", "", true, 1) +
                             describe("POST", "/", "/", "hi", true, 1) +
                             describe("GET", "/", "/", "", false, 1) +
                             describe("GET", "/", "/", "", false, 0)) == "");
}

TEST_CASE("The end of a body and the beginning of a request make no line end together") {
    check_refused("\n" + with_line("GET / HTTP/1.1"), bad_request, "LF alone");
    const std::string good = with_length("x\r");
    const std::string refused = read({"\n"});
    CHECK(refused.starts_with("400 "));
    CHECK(odd_cut(good + "\n" + with_line("GET / HTTP/1.1"),
                  describe("POST", "/", "/", "x\r", true, 1) + refused) == "");
}

TEST_CASE("The bytes of a head are looked at once, in however many pieces they come") {
    // Looked at again with each piece, a head of this size would take minutes.
    const std::string head = with_fields("Host: a\r\nX: " + std::string(1 << 20, 'x') + "\r\n");
    const HttpLimits limits{.head_bytes_max = head.size()};
    const auto begin = std::chrono::steady_clock::now();
    const bool same = read(one_by_one(head), limits) == describe("GET", "/", "/", "", true, 1);
    CHECK(same);
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("While chunks come, the buffer holds the body and a part of one line, no more") {
    ChunkedDecoder decoder{1000, 1000};
    std::string buffer = "before";
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
    CHECK(buffer == "before" + std::string(1000, 'x'));
    CHECK(bytes_beside_body == "1;extension\r"sv.size());
}

TEST_CASE("The phase says what is waited for") {
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
    SECTION("Empty lines before a request begin none: they can't be sent to win time") {
        CHECK(phase_after("\r") == Phase::idle);
        CHECK(phase_after("\n") == Phase::idle);
        CHECK(phase_after("\r\n\r") == Phase::idle);
        CHECK(phase_after("\nG") == Phase::head);
    }
}

TEST_CASE("100 Continue is due once, to a client that waits for it") {
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

    SECTION("And once again for the next request") {
        parser.feed(framed("Expect: 100-continue\r\nContent-Length: 9", ""));
        REQUIRE(parser.next() == Result::need_more);
        CHECK(parser.phase() == Phase::body);
        CHECK(parser.take_continue());
    }
    SECTION("But not where the next request does not ask") {
        parser.feed(framed("Content-Length: 9", ""));
        REQUIRE(parser.next() == Result::need_more);
        CHECK(parser.phase() == Phase::body);
        CHECK_FALSE(parser.take_continue());
    }
}

TEST_CASE("100 Continue is due where the head ended in a later piece") {
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

TEST_CASE("100 Continue is not due to a client that does not wait for it") {
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
        CHECK(parser.next() == Result::request);  // there is nothing to wait for
        CHECK_FALSE(parser.take_continue());
    }
}

TEST_CASE("A client that sent its body without waiting is not told to go on") {
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

TEST_CASE("The path of a target is what names the resource") {
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

TEST_CASE("A response is framed for the request that it answers") {
    const Response response{.status = 200, .body = "{}"};
    CHECK(answer(response, with_line("GET / HTTP/1.1")) ==
          "what was there before, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
          "Content-Length: 2\r\n\r\n{}");
    CHECK(answer(response, with_fields("Host: a\r\nConnection: close\r\n")) ==
          "what was there before, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
          "Content-Length: 2\r\nConnection: close\r\n\r\n{}");

    SECTION("HTTP/1.0 is told that the connection stays, or that it closes") {
        CHECK(answer(response, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") ==
              "what was there before, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              "Content-Length: 2\r\nConnection: keep-alive\r\n\r\n{}");
        CHECK(answer(response, "GET / HTTP/1.0\r\n\r\n") ==
              "what was there before, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              "Content-Length: 2\r\nConnection: close\r\n\r\n{}");
    }
    SECTION("HEAD gets the length of the body, but no body") {
        CHECK(answer(response, with_line("HEAD / HTTP/1.1")) ==
              "what was there before, HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              "Content-Length: 2\r\n\r\n");
    }
    SECTION("Further fields and another content type are passed on") {
        CHECK(
            answer({.status = 405,
                    .body = "",
                    .fields = "Allow: POST\r\n",
                    .content_type = "text/plain"},
                   with_line("GET / HTTP/1.1")) ==
            "what was there before, HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\n"
            "Content-Length: 0\r\nAllow: POST\r\n\r\n");
    }
    SECTION("Without a request the connection is to be closed") {
        const std::time_t begin = std::time(nullptr);
        CHECK(without_date(to_bytes(response), begin) ==
              "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
              "Connection: close\r\n\r\n{}");
    }
}

TEST_CASE("Every status in use has its phrase") {
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

TEST_CASE("An error's body gives the reason, and the detail where there is one") {
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

TEST_CASE("Dates are those of RFC 9110 5.6.7") {
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

TEST_CASE("The date for a moment at hand is the wall clock's, asked once a second") {
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

// ---- the trusting reader ------------------------------------------------------------------------

TEST_CASE("The stated length is what the head says, or nothing") {
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

// ---- the small words ----------------------------------------------------------------------------

TEST_CASE("Tokens and control bytes are told from all others") {
    const auto is_among = [](char c, std::string_view set) { return set.find(c) != set.npos; };
    std::string token_chars;
    std::string control_chars;
    std::string digits;
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        token_chars += is_token_char(c) ? std::string{c} : "";
        control_chars += is_control_char(c) ? std::string{c} : "";
        digits += is_digit(c) ? std::string{c} : "";
    }
    CHECK(token_chars ==
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

TEST_CASE("Letters are the same in any case, and nothing else is") {
    CHECK(equals_ignoring_case("Content-LENGTH", "cONTENT-length"));
    CHECK(equals_ignoring_case("AZaz09", "azAZ09"));
    CHECK(equals_ignoring_case("", ""));
    CHECK_FALSE(equals_ignoring_case("a", "b"));
    CHECK_FALSE(equals_ignoring_case("a", "ab"));
    CHECK_FALSE(equals_ignoring_case("ab", "a"));
    CHECK_FALSE(equals_ignoring_case("@[", "`{"));      // 32 apart, as letters are
    CHECK_FALSE(equals_ignoring_case("\xc4", "\xe4"));  // letters elsewhere, not here
}

TEST_CASE("Spaces and tabs around a text are taken off") {
    CHECK(trimmed("a") == "a");
    CHECK(trimmed(" \ta b\t ") == "a b");
    CHECK(trimmed("a ") == "a");
    CHECK(trimmed("\ta") == "a");
    CHECK(trimmed(" \t ").empty());
    CHECK(trimmed("").empty());
    CHECK(trimmed("\v\r") == "\v\r");
}

TEST_CASE("A list is taken apart at its commas, without what is empty") {
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

TEST_CASE("A length is decimal digits and nothing else") {
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
