#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

// HTTP/1.1 messages, without I/O.
namespace unfreeze {

/// One complete request. The views point into its parser's buffer.
struct Request {
    std::string_view method;
    std::string_view target;  // as sent: "/", "/metrics?x=1", "http://host/"
    std::string_view body;
    int minor_version = 1;    // of HTTP/1.x: 0 or 1
    bool keep_alive = false;  // the connection persists after the response (RFC 9112 9.3)
    std::chrono::steady_clock::time_point received = {};  // when its last bytes were read

    /// The target's path: without scheme, authority and query.
    std::string_view path() const;

    /// Whether the method is safe, that is read-only: GET or HEAD (RFC 9110 9.2.1).
    bool is_safe() const { return method == "GET" || method == "HEAD"; }
};

struct Response {
    int status = 200;
    std::string body;
    std::string_view fields = {};  // more field lines, each with its CRLF: "Allow: POST\r\n"
    std::string_view content_type = "application/json";
    bool close = false;  // for stage 10: closes the connection, even if the client would keep it
};

/// {"status":"error","reason":REASON,"detail":DETAIL}, without the detail if it is empty.
Response error_response(int status, std::string_view reason, std::string_view detail = {},
                        std::string_view fields = {});

/// The value of a `Date` field (RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". The view is valid
/// until the calling thread formats another second.
std::string_view http_date(long long unix_seconds);

/// The `Date` of the moment `now` on the steady clock, which callers have read anyway. It reads the
/// wall clock once a second, not once a response (RFC 9110 6.6.1).
std::string_view http_date(std::chrono::steady_clock::time_point now);

/// Appends the response as bytes, as its request requires: with the Connection field of the
/// request's version, and without a body for HEAD. Without a request, it says Connection: close.
/// A JSON body gets a newline at its end.
void append_response(std::string& out, const Response& response, const Request& request = {},
                     std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now());

/// The response as bytes.
[[nodiscard]] std::string to_bytes(const Response& response);

/// The first Content-Length in a head; 0 if there is none or it is invalid. It is for servers that
/// trust their clients. RequestParser does not.
std::size_t stated_content_length(std::string_view head);

}  // namespace unfreeze
