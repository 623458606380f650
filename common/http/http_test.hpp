#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "common/catch.hpp"
#include "common/http/message.hpp"
#include "common/http/request_parser.hpp"

// What the tests of HTTP share: requests as bytes, and what a parser makes of them.
namespace unfreeze {

// ---- requests as bytes --------------------------------------------------------------------------

/// A request with this request line and nothing but a Host.
inline std::string with_line(std::string_view line) {
    return fmt::format("{}\r\nHost: a\r\n\r\n", line);
}

/// A request with these fields, each line with its CRLF.
inline std::string with_fields(std::string_view fields) {
    return fmt::format("GET / HTTP/1.1\r\n{}\r\n", fields);
}

/// A request with these fields, but for the last one's CRLF, and this for a body.
inline std::string framed(std::string_view framing, std::string_view body) {
    return fmt::format("POST / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n{}", framing, body);
}

inline std::string with_length(std::string_view body) {
    return framed(fmt::format("Content-Length: {}", body.size()), body);
}

/// A request with these bytes for a chunked body, the last chunk and the trailer section included.
inline std::string chunked(std::string_view chunks) {
    return framed("Transfer-Encoding: chunked", chunks);
}

// ---- what a parser makes of them ----------------------------------------------------------------

/// A request in a line, which begins with METHOD TARGET VERSION, or METHOD TARGET VERSION at PATH
/// where the path is another than the target.
inline std::string describe(std::string_view request_line, std::string_view body = {},
                            bool keep_alive = true) {
    return fmt::format("{}, {}{}{}\n", request_line, keep_alive ? "stays" : "closes",
                       body.empty() ? "" : ": ", body);
}

inline std::string describe(const Request& request) {
    const std::string path =
        request.path() == request.target ? "" : fmt::format(" at {}", request.path());
    return describe(fmt::format("{} {} HTTP/1.{}{}", request.method, request.target,
                                request.minor_version, path),
                    request.body, request.keep_alive);
}

using Pieces = std::vector<std::string_view>;

/// One line for each request and for the refusal, where there is one: it is the end.
inline std::string read(const Pieces& pieces, const HttpLimits& limits = {}) {
    using Result = RequestParser::Result;
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
    const bool idle = !parser.has_bytes() && parser.phase() == RequestParser::Phase::idle;
    return idle ? seen : seen + "unfinished\n";
}

inline Pieces one_by_one(std::string_view bytes) {
    Pieces pieces;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        pieces.push_back(bytes.substr(i, 1));
    }
    return pieces;
}

/// Says which way of cutting the bytes leads to something else than expected; empty where none
/// does.
inline std::string odd_cut(std::string_view bytes, std::string_view expected,
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

/// What tells one answer from another: the status, and the word that its body has for it.
struct Answer {
    int status;
    std::string_view word;
};

constexpr Answer bad_request{400, "bad_request"};
constexpr Answer body_too_large{413, "body_too_large"};
constexpr Answer long_target{414, "target_too_long"};
constexpr Answer head_too_large{431, "head_too_large"};
constexpr Answer other_expectation{417, "expectation_failed"};
constexpr Answer long_method{501, "method_not_implemented"};
constexpr Answer other_coding{501, "transfer_coding_not_implemented"};
constexpr Answer other_version{505, "http_version_not_supported"};

/// Refused for this reason, with this word in the detail, and in the same words whatever the cut.
inline void check_refused(std::string_view bytes, const Answer& refusal, std::string_view word,
                          const HttpLimits& limits = {}) {
    const std::string whole = read({bytes}, limits);
    const std::string begin = fmt::format(R"({} {{"status":"error","reason":"{}","detail":")",
                                          refusal.status, refusal.word);
    CHECK(whole.substr(0, begin.size()) == begin);
    INFO(whole);
    CHECK(whole.find(word, std::min(begin.size(), whole.size())) != std::string::npos);
    CHECK(odd_cut(bytes, whole, limits) == "");
}

}  // namespace unfreeze
