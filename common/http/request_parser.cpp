#include "common/http/request_parser.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <ctime>
#include <iterator>

#include "common/http/grammar.hpp"

namespace unfreeze {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::size_t npos = std::string_view::npos;

/// Bounds the memory that is reserved for a body before its bytes arrive.
constexpr std::size_t reserved_bytes_max = 256 * 1024;

constexpr bool is_letter(char c) { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }

/// The bytes of a request-target: those of a URI without a fragment (RFC 9112 3.2, RFC 3986 2).
constexpr AlphanumericAnd target_chars{"-._~%!$&'()*+,;=:@/?[]"};
constexpr bool is_target_char(char c) { return target_chars.contains(c); }

/// The bytes of a reg-name or IPv4 address. They exclude lists, user information and paths.
constexpr AlphanumericAnd host_chars{"-._~%!$&'()*+;="};
constexpr bool is_host_char(char c) { return host_chars.contains(c); }

/// The bytes of an IPvFuture address.
constexpr bool is_future_char(char c) { return c == ':' || (c != '%' && is_host_char(c)); }

/// Whether two hexadecimal digits follow each % (RFC 3986 2.1).
bool is_percent_encoded(std::string_view text) {
    for (std::size_t at = text.find('%'); at != npos; at = text.find('%', at + 3)) {
        const std::string_view digits = text.substr(at + 1, 2);
        if (digits.size() < 2 || !all_of<is_hex_digit>(digits)) {
            return false;
        }
    }
    return true;
}

/// IPv6address / IPvFuture (RFC 3986 3.2.2), without the brackets.
bool is_ip_literal(std::string_view text) {
    const std::size_t dot = text.find('.');
    if (text.starts_with('v') || text.starts_with('V')) {
        return dot != npos && dot > 1 && dot + 1 < text.size() &&
               all_of<is_hex_digit>(text.substr(1, dot - 1)) &&
               all_of<is_future_char>(text.substr(dot + 1));
    }
    in6_addr address{};
    return inet_pton(AF_INET6, std::string{text}.c_str(), &address) == 1;
}

constexpr bool is_scheme_char(char c) {
    return is_digit(c) || is_letter(c) || c == '+' || c == '-' || c == '.';
}

/// uri-host [ ":" port ] (RFC 9110 7.2) with a host that is not empty (RFC 9110 4.2.1)
bool is_authority(std::string_view text) {
    const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
    const std::size_t host_end = std::min(text.find(':', bracket), text.size());
    const std::string_view host = text.substr(0, host_end);
    const std::string_view port = text.substr(std::min(host_end + 1, text.size()));
    const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    return !host.empty() && all_of<is_digit>(port) &&
           (in_brackets ? is_ip_literal(host.substr(1, host.size() - 2))
                        : all_of<is_host_char>(host) && is_percent_encoded(host));
}

/// scheme "://" authority, then anything (RFC 9112 3.2.2)
bool is_absolute(std::string_view target) {
    const std::size_t scheme_end = target.find("://");
    if (scheme_end == npos || !is_letter(target.front())) {
        return false;
    }
    const std::string_view rest = target.substr(scheme_end + 3);
    return all_of<is_scheme_char>(target.substr(0, scheme_end)) &&
           is_authority(rest.substr(0, rest.find_first_of("/?")));
}

/// The four target forms of RFC 9112 3.2. The authority form is for CONNECT only, and has a port.
/// The asterisk form is for OPTIONS only.
bool is_target(std::string_view target, std::string_view method) {
    if (method == "CONNECT") {
        return is_authority(target) && target.find(':') != npos && is_digit(target.back());
    }
    return all_of<is_target_char>(target) && is_percent_encoded(target) &&
           (target.starts_with('/') || is_absolute(target) ||
            (target == "*" && method == "OPTIONS"));
}

}  // namespace

void RequestParser::restart(const HttpLimits& limits) {
    Buffer memory = std::move(buffer_);
    memory.clear();
    *this = RequestParser{limits};
    buffer_ = std::move(memory);
}

void RequestParser::feed(std::string_view bytes, std::chrono::steady_clock::time_point received) {
    const std::size_t used = reads_ == Reads::nothing ? position_ : request_begin_;
    buffer_.erase(0, used);
    request_begin_ -= std::min(used, request_begin_);
    position_ -= used;
    scanned_ -= std::min(used, scanned_);
    buffer_ += bytes;
    received_ = received;
}

RequestParser::Result RequestParser::next() {
    if (reads_ == Reads::nothing) {
        start();
    }
    Result result = Result::need_more;
    if (reads_ == Reads::request_line || reads_ == Reads::fields) {
        result = read_head();
    }
    if (result == Result::need_more && reads_ == Reads::body) {
        result = read_body();
    }
    if (result == Result::need_more && reads_ == Reads::chunks) {
        result = read_chunks();
    }
    return result;
}

RequestParser::Phase RequestParser::phase() const {
    switch (reads_) {
        // A CR here begins an empty line, which is not a request. A client that sends only empty
        // lines stays idle, because otherwise it could keep its connection for ever.
        case Reads::request_line:
            return has_bytes() && buffer_[position_] != '\r' ? Phase::head : Phase::idle;
        case Reads::fields: return Phase::head;
        case Reads::body:
        case Reads::chunks: return Phase::body;
        case Reads::nothing: break;
    }
    return Phase::idle;
}

std::string_view RequestParser::method() const {
    // Not beyond the head's limit, so that a refusal does not depend on how the stream is cut.
    const std::string_view head =
        std::string_view{buffer_}.substr(request_begin_, limits_.head_bytes_max);
    const std::size_t end = head.find(' ');
    return end != npos && is_token(head.substr(0, end)) ? head.substr(0, end) : std::string_view{};
}

bool RequestParser::take_continue() {
    const bool nothing_sent_yet = phase() == Phase::body && !has_bytes() && body_.size == 0;
    const bool waits = framing_.expects_continue && nothing_sent_yet;
    framing_.expects_continue = framing_.expects_continue && phase() != Phase::body;
    return waits;
}

void RequestParser::start() {
    request_begin_ = scanned_ = position_;
    reads_ = Reads::request_line;
    framing_ = {};
    body_ = {};
    request_ = {};
}

/// Parses each line when it is complete, so that a bad one is rejected before the head ends. It
/// does not wait for the end of an invalid line, because a client of another protocol may be
/// waiting for the server to send first. The checks follow the order of the bytes, so that the
/// response does not depend on how the stream is cut.
RequestParser::Result RequestParser::read_head() {
    for (;;) {
        const std::size_t limit = request_begin_ + limits_.head_bytes_max;
        const std::string_view bytes = std::string_view{buffer_}.substr(0, limit);
        if (reads_ == Reads::request_line && position_ < bytes.size() &&
            !is_token_char(bytes[position_]) && bytes[position_] != '\r' &&
            bytes[position_] != '\n') {
            return refuse(400, "bad_request", "request line without a method");
        }
        // The only control characters of a line are the CR and the LF at its end.
        const std::size_t found = find_control_char(bytes.substr(scanned_));
        scanned_ = found == npos ? bytes.size() : scanned_ + found;
        const std::string_view end = bytes.substr(scanned_, 2);
        if (end.empty() || end == "\r") {
            if (bytes.size() < limit) {
                return Result::need_more;
            }
            return reads_ == Reads::request_line ? refuse_request_line_size() : refuse_head_size();
        }
        if (end != "\r\n") {
            return refuse(
                400, "bad_request",
                end.front() == '\n' ? "bare LF instead of CRLF" : "control character in the head");
        }
        const std::string_view line = bytes.substr(position_, scanned_ - position_);
        position_ = scanned_ += 2;

        if (line.empty() && reads_ == Reads::request_line) {
            request_begin_ = position_;  // empty lines before a request are skipped (RFC 9112 2.2)
            continue;
        }
        if (line.empty()) {
            return finish_head();
        }
        const Result result =
            reads_ == Reads::request_line ? read_request_line(line) : read_field(line);
        if (result == Result::refused) {
            return result;
        }
    }
}

/// method SP request-target SP HTTP-version (RFC 9112 section 3)
RequestParser::Result RequestParser::read_request_line(std::string_view line) {
    const std::size_t method_end = line.find(' ');
    const std::size_t target_end = line.rfind(' ');
    if (method_end == npos || target_end == method_end) {
        return refuse(400, "bad_request",
                      "malformed request line; expected METHOD TARGET HTTP/1.1");
    }
    const std::string_view method = line.substr(0, method_end);
    const std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
    const std::string_view version = line.substr(target_end + 1);
    if (!is_token(method)) {
        return refuse(400, "bad_request", "invalid method");
    }
    if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
        version[6] != '.' || !is_digit(version[7])) {
        return refuse(400, "bad_request", "invalid HTTP version");
    }
    if (version[5] != '1') {
        return refuse(505, "http_version_not_supported",
                      "unsupported HTTP version; use HTTP/1.1 or HTTP/1.0");
    }
    if (!is_target(target, method)) {
        return refuse(400, "bad_request", "invalid request target");
    }
    method_ = piece(method);
    target_ = piece(target);
    request_.minor_version = version[7] == '0' ? 0 : 1;  // HTTP/1.2 is read as 1.1 (RFC 9110 2.5)
    reads_ = Reads::fields;
    return Result::need_more;
}

RequestParser::Result RequestParser::read_field(std::string_view line) {
    if (line.front() == ' ' || line.front() == '\t') {
        return refuse(400, "bad_request", "obsolete line folding");  // RFC 9112 5.2
    }
    const auto [name, value] = split_field(line);
    if (name.empty()) {
        return refuse(400, "bad_request",
                      "malformed field line; expected NAME: VALUE with no space before the colon");
    }
    if (equals_ignoring_case(name, "Content-Length")) {
        const long long length = parse_length(value);
        if (length < 0 || framing_.content_length) {
            return refuse(400, "bad_request", "invalid or repeated Content-Length");
        }
        framing_.content_length = static_cast<std::size_t>(length);
    } else if (equals_ignoring_case(name, "Transfer-Encoding")) {
        return read_transfer_encoding(value);
    } else if (equals_ignoring_case(name, "Host")) {
        if (framing_.host || (!value.empty() && !is_authority(value))) {  // may be empty
            return refuse(400, "bad_request", "invalid or repeated Host");
        }
        framing_.host = true;
    } else if (equals_ignoring_case(name, "Connection")) {
        for_each_element(value, [this](std::string_view option) {
            framing_.close = framing_.close || equals_ignoring_case(option, "close");
            framing_.keep_alive = framing_.keep_alive || equals_ignoring_case(option, "keep-alive");
        });
    } else if (equals_ignoring_case(name, "Expect")) {
        bool others = false;
        for_each_element(value, [&](std::string_view expectation) {
            const bool known = equals_ignoring_case(expectation, "100-continue");
            framing_.expects_continue = framing_.expects_continue || known;
            others = others || !known;
        });
        if (others) {
            return refuse(417, "expectation_failed", "unsupported expectation; use 100-continue");
        }
    }
    return Result::need_more;
}

/// Only chunked is supported, once and as the final coding (RFC 9112 6.1 and 6.3).
RequestParser::Result RequestParser::read_transfer_encoding(std::string_view codings) {
    bool none = true;
    bool after_chunked = false;
    for_each_element(codings, [&](std::string_view coding) {
        none = false;
        after_chunked = after_chunked || framing_.chunked;
        const bool chunked = equals_ignoring_case(coding, "chunked");
        framing_.chunked = framing_.chunked || chunked;
        framing_.other_coding = framing_.other_coding || !chunked;
    });
    if (after_chunked || none) {
        return refuse(400, "bad_request",
                      none ? "empty Transfer-Encoding" : "transfer coding after chunked");
    }
    return Result::need_more;
}

/// Determines the body's length after the last field, and rejects invalid framing.
RequestParser::Result RequestParser::finish_head() {
    if (request_.minor_version == 1 && !framing_.host) {
        return refuse(400, "bad_request", "missing Host");  // RFC 9112 3.2
    }
    const bool coded = framing_.chunked || framing_.other_coding;
    if (coded && framing_.content_length) {
        return refuse(400, "bad_request", "Content-Length with Transfer-Encoding");  // RFC 9112 6.3
    }
    if (coded && request_.minor_version == 0) {
        return refuse(400, "bad_request",
                      "Transfer-Encoding in an HTTP/1.0 request");  // RFC 9112 6.1
    }
    if (coded && !framing_.chunked) {
        // The body's length can't be determined, so this is 400 and not 501 (RFC 9112 6.3).
        return refuse(400, "bad_request", "final transfer coding is not chunked");
    }
    if (framing_.other_coding) {
        return refuse(501, "transfer_coding_not_implemented",
                      "unsupported transfer coding; use chunked");  // RFC 9112 6.1
    }
    if (framing_.content_length.value_or(0) > limits_.body_bytes_max) {
        return refuse_body_size();
    }
    // HTTP/1.0 has no interim responses, and a client that has sent a part of the body does not
    // wait for one (RFC 9110 10.1.1).
    framing_.expects_continue =
        framing_.expects_continue && request_.minor_version == 1 && !has_bytes();
    request_.keep_alive = !framing_.close && (request_.minor_version == 1 || framing_.keep_alive);
    body_.offset = position_ - request_begin_;
    // One allocation instead of several doublings, bounded because the client may send less.
    buffer_.reserve(std::min(position_ + framing_.content_length.value_or(0), reserved_bytes_max));
    if (framing_.chunked) {
        chunks_.emplace(limits_.body_bytes_max, limits_.head_bytes_max);
    }
    reads_ = framing_.chunked ? Reads::chunks : Reads::body;
    return Result::need_more;
}

RequestParser::Result RequestParser::read_body() {
    const std::size_t size = framing_.content_length.value_or(0);
    if (buffer_.size() - position_ < size) {
        return Result::need_more;
    }
    body_.size = size;
    position_ += size;
    return complete();
}

RequestParser::Result RequestParser::read_chunks() {
    std::size_t body_end = request_begin_ + body_.offset + body_.size;
    const ChunkedDecoder::Result result = chunks_->decode(buffer_, body_end, position_);
    body_.size = body_end - request_begin_ - body_.offset;
    switch (result) {
        case ChunkedDecoder::Result::need_more: return Result::need_more;
        case ChunkedDecoder::Result::done: return complete();
        case ChunkedDecoder::Result::malformed: break;
        case ChunkedDecoder::Result::body_too_large: return refuse_body_size();
        case ChunkedDecoder::Result::trailer_too_large: return refuse_head_size();
    }
    return refuse(400, "bad_request", "malformed chunked body");
}

RequestParser::Result RequestParser::complete() {
    request_.method = text(method_);
    request_.target = text(target_);
    request_.body = text(body_);
    request_.received = received_;
    reads_ = Reads::nothing;
    return Result::request;
}

RequestParser::Result RequestParser::refuse(int status, std::string_view reason,
                                            std::string_view detail) {
    refusal_ = error_response(status, reason, detail);
    return Result::refused;
}

/// If the request line fills the limit of the head, its method or its target is too long. The
/// status says which one, as RFC 9112 section 3 requires.
RequestParser::Result RequestParser::refuse_request_line_size() {
    const std::string_view line =
        std::string_view{buffer_}.substr(request_begin_, limits_.head_bytes_max);
    const std::string detail =
        fmt::format("request line over the limit of {} bytes", limits_.head_bytes_max);
    return line.find(' ') == npos ? refuse(501, "method_not_implemented", detail)
                                  : refuse(414, "target_too_long", detail);
}

RequestParser::Result RequestParser::refuse_head_size() {
    return refuse(431, "head_too_large",
                  fmt::format("head over the limit of {} bytes", limits_.head_bytes_max));
}

RequestParser::Result RequestParser::refuse_body_size() {
    return refuse(413, "body_too_large",
                  fmt::format("body over the limit of {} bytes", limits_.body_bytes_max));
}

RequestParser::Piece RequestParser::piece(std::string_view text) const {
    return {static_cast<std::size_t>(text.data() - buffer_.data()) - request_begin_, text.size()};
}

std::string_view RequestParser::text(Piece piece) const {
    assert(request_begin_ + piece.offset + piece.size <= buffer_.size());
    return {buffer_.data() + request_begin_ + piece.offset, piece.size};
}

}  // namespace unfreeze
