#include "common/http/message.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <tuple>

#include "common/http/grammar.hpp"
#include "common/json.hpp"

namespace unfreeze {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::size_t npos = std::string_view::npos;

constexpr std::string_view reason_phrase(int status) {
    switch (status) {
        case 200: return "OK";
        case 202: return "Accepted";
        case 400: return "Bad Request";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 413: return "Content Too Large";
        case 414: return "URI Too Long";
        case 417: return "Expectation Failed";
        case 431: return "Request Header Fields Too Large";
        case 501: return "Not Implemented";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "";  // the phrase may be empty (RFC 9112 section 4)
    }
}

/// The head of a response with `length` bytes of body. The view is valid until the calling thread
/// makes another one. Under load most heads of a second are equal, so the last one is kept.
std::string_view response_head(const Response& response, std::size_t length,
                               std::string_view connection,
                               std::chrono::steady_clock::time_point now) {
    const std::tuple needed{response.status,       length,     response.fields,
                            response.content_type, connection, http_date(now)};
    thread_local std::string head;
    thread_local std::tuple<int, std::size_t, std::string, std::string, std::string, std::string>
        made_of;
    if (made_of != needed) {
        made_of = needed;
        head = fmt::format(
            "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{}\r\n",
            response.status, reason_phrase(response.status), http_date(now), response.content_type,
            length, response.fields, connection);
    }
    return head;
}

}  // namespace

std::string_view Request::path() const {
    std::string_view path = target;
    if (const std::size_t scheme = path.find("://"); !path.starts_with('/') && scheme != npos) {
        const std::size_t authority_end = path.find_first_of("/?", scheme + 3);
        path = authority_end == npos ? "/" : path.substr(authority_end);
    }
    path = path.substr(0, path.find('?'));
    return path.empty() ? "/" : path;
}

Response error_response(int status, std::string_view reason, std::string_view detail,
                        std::string_view fields) {
    JsonObject body;
    body.add("status", "error").add("reason", reason);
    if (!detail.empty()) {
        body.add("detail", detail);
    }
    return {.status = status, .body = body.text(), .fields = fields};
}

void append_response(std::string& out, const Response& response, const Request& request,
                     std::chrono::steady_clock::time_point now) {
    // Connections persist by default in HTTP/1.1, but not in HTTP/1.0 (RFC 9112 9.3).
    const std::string_view connection = !request.keep_alive || response.close
                                            ? "Connection: close\r\n"
                                        : request.minor_version == 0 ? "Connection: keep-alive\r\n"
                                                                     : "";
    const bool is_json = response.content_type == "application/json" && !response.body.empty();
    const std::string_view head =
        response_head(response, response.body.size() + (is_json ? 1 : 0), connection, now);
    out.reserve(out.size() + head.size() + response.body.size() + 1);
    out += head;
    if (request.method != "HEAD") {
        out += response.body;
        if (is_json) {
            out += '\n';  // otherwise a terminal shows its prompt after the body
        }
    }
}

std::string to_bytes(const Response& response) {
    std::string bytes;
    append_response(bytes, response);
    return bytes;
}

std::string_view http_date(long long unix_seconds) {
    // Not strftime, which depends on the locale. Formatted once a second, because that takes long.
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    thread_local long long formatted_for = -1;
    thread_local std::string date;
    if (unix_seconds != formatted_for) {
        const std::time_t time = unix_seconds;
        std::tm utc{};
        gmtime_r(&time, &utc);
        date = fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                           days.at(static_cast<std::size_t>(utc.tm_wday)), utc.tm_mday,
                           months.at(static_cast<std::size_t>(utc.tm_mon)), utc.tm_year + 1900,
                           utc.tm_hour, utc.tm_min, utc.tm_sec);
        formatted_for = unix_seconds;
    }
    return date;
}

std::string_view http_date(std::chrono::steady_clock::time_point now) {
    using std::chrono::system_clock;
    thread_local std::chrono::steady_clock::time_point next_second;
    thread_local std::chrono::sys_seconds second;
    if (now >= next_second) {
        const system_clock::time_point wall = system_clock::now();
        second = std::chrono::floor<std::chrono::seconds>(wall);
        next_second = now + (second + std::chrono::seconds{1} - wall);
    }
    return http_date(second.time_since_epoch().count());
}

std::size_t stated_content_length(std::string_view head) {
    while (!head.empty()) {
        const std::size_t line_end = head.find("\r\n");
        const Field field = parse_field(head.substr(0, line_end));
        if (equals_ignoring_case(field.name, "Content-Length")) {
            return static_cast<std::size_t>(std::max(0LL, parse_length(field.value)));
        }
        head = line_end == npos ? std::string_view{} : head.substr(line_end + 2);
    }
    return 0;
}

}  // namespace unfreeze
