#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

// HTTP/1.1 without any I/O: what a request says, and a response as bytes.
namespace unfreeze {

/// One complete request. The views point into the parser that made it.
struct Request {
    std::string_view method;
    std::string_view target;  // as sent: "/", "/metrics?x=1", "http://host/"
    std::string_view body;
    int minor_version = 1;    // of HTTP/1.x: 0 or 1
    bool keep_alive = false;  // the client will send more on this connection (RFC 9112 9.3)

    /// The target without scheme, host and query: what names the resource.
    std::string_view path() const;

    /// Whether the client only wants to look (RFC 9110 9.2.1): GET or HEAD.
    bool is_safe() const { return method == "GET" || method == "HEAD"; }
};

struct Response {
    int status = 200;
    std::string body;
    std::string_view fields = {};  // further field lines, each with its CRLF: "Allow: POST\r\n"
    std::string_view content_type = "application/json";
    bool close = false;  // the connection ends behind it, whatever the client would like
};

/// {"status":"error","reason":REASON,"detail":DETAIL}, the detail left out where it is empty.
/// Both are our own words: nothing that a client sent is repeated, so nothing needs escaping.
Response error_response(int status, std::string_view reason, std::string_view detail = {},
                        std::string_view fields = {});

/// A field value for `Date` (RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", the time in seconds
/// since 1970. The view is good until the calling thread asks for another second.
std::string_view http_date(long long unix_seconds);

/// The same for the second that `now` is in, for callers who have looked at the steady clock
/// anyway: the wall clock is asked once a second, not once an answer (RFC 9110 6.6.1).
std::string_view http_date(std::chrono::steady_clock::time_point now);

/// Appends the response as bytes, framed for the request that it answers: its version, whether the
/// connection stays open, and no body for HEAD. Without a request the connection is to be closed.
void append_response(std::string& out, const Response& response, const Request& request = {},
                     std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now());

/// The same, as a string of its own.
std::string to_bytes(const Response& response);

/// The body's length as the head states it, believed as it stands; 0 where it says nothing that can
/// be believed. For servers that trust their clients: RequestParser is the one that does not.
std::size_t stated_content_length(std::string_view head);

}  // namespace unfreeze
