#pragma once

#include <asio.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "clients/probe/conversation.hpp"
#include "clients/probe/target.hpp"
#include "common/http/response_parser.hpp"

namespace unfreeze {

/// Opens a socket for a connection to the server. Throws std::system_error if this program has no
/// descriptor for it, so that the server is not blamed.
void open_socket(asio::ip::tcp::socket& socket, const Target& target);

/// An attempt to get a response, which failed.
struct FailedAttempt {
    bool reused = false;            // an earlier response had come on the same connection
    bool closed = false;            // the server closed or reset the connection
    bool response_started = false;  // a byte of the response had arrived
};

/// Whether to send the request once more, on a new connection. Servers close idle connections at
/// any time, so a request may meet a connection that is about to close (RFC 9112, 9.3.1). Because
/// the server may have processed it all the same, only requests that may arrive twice are retried.
[[nodiscard]] inline bool should_retry(const FailedAttempt& attempt) {
    return attempt.reused && attempt.closed && !attempt.response_started;
}

/// Why there is no response, and how long after the request's last send that was clear.
struct NoResponse {
    enum class Reason { none, late, closed, reset, malformed, refused };
    Reason reason = Reason::none;
    std::chrono::duration<double> after{0};  // seconds
    std::string detail = {};                 // which byte is malformed, and why
};

/// "late (no response in 1.00 s)", "closed (after 0.20 s)", "malformed (byte 9: ...)".
[[nodiscard]] std::string to_text(const NoResponse& none);

/// One TCP connection for an experiment. Each operation has a timeout. None throws, except that the
/// constructor and exchange() throw std::system_error if this program runs out of descriptors.
class Connection {
public:
    /// Connects. That succeeds even if the server is frozen, because the kernel accepts for it.
    explicit Connection(const Target& target);
    ~Connection();

    [[nodiscard]] bool connected() const { return connected_; }

    /// Sends all bytes. Returns false if the server has closed, or if it takes longer than
    /// `timeout`.
    bool send(std::string_view bytes, std::chrono::milliseconds timeout = default_timeout);

    /// Returns the next response, or nothing if the server closes or none arrives in time.
    std::optional<ReceivedResponse> receive(std::chrono::milliseconds timeout = default_timeout);

    /// Why the last receive() returned nothing.
    [[nodiscard]] const NoResponse& no_response() const { return no_response_; }

    /// The bytes of a response whose end has not arrived.
    [[nodiscard]] std::size_t unanswered_bytes() const { return unanswered_bytes_; }

    /// Sends a request and returns its response. Retries once, as should_retry() says: call it only
    /// for requests that may arrive twice.
    [[nodiscard]] std::optional<ReceivedResponse> exchange(
        std::string_view request, std::chrono::milliseconds timeout = default_timeout);

    /// Whether the server closes within `timeout`. Discards the bytes that it still sends.
    [[nodiscard]] bool closed_by_server(std::chrono::milliseconds timeout = default_timeout);

    /// Half-closes the connection: responses may still arrive.
    void finish_sending();

    /// Resets the connection, as the kernel of a crashed client would.
    void reset();

    static constexpr std::chrono::milliseconds default_timeout{5'000};

private:
    void connect();

    /// Runs the one operation that was started on io_. If it times out, cancels it and returns
    /// false.
    bool run(std::chrono::milliseconds timeout);

    std::nullopt_t fail(NoResponse::Reason reason, std::string detail = {});
    void record(Conversation::Event event, std::string_view bytes = {});

    Target target_;
    asio::io_context io_;
    asio::ip::tcp::socket socket_{io_};
    ResponseParser parser_;
    bool connected_ = false;
    // Asio reports the end of a connection only once, so both flags remember it.
    bool ended_ = false;                // receive() met the end of the stream, or an error
    bool was_reset_ = false;            // that error was not the end of the stream
    bool closed_ = false;               // send() failed
    std::size_t unanswered_bytes_ = 0;  // received since the last complete response
    std::size_t responses_ = 0;
    std::size_t number_ = 0;  // in the recorded conversation
    std::chrono::steady_clock::time_point sent_ = std::chrono::steady_clock::now();
    NoResponse no_response_;
};

/// The status of a response; 0 if there is none.
[[nodiscard]] inline int status_of(const std::optional<ReceivedResponse>& response) {
    return response ? response->status : 0;
}

/// Sends one valid request on a new connection. Returns the response time, or nothing if no
/// response arrives in time.
std::optional<std::chrono::microseconds> probe(const Target& target,
                                               std::chrono::milliseconds timeout);

/// A probe's result in words: "answered in 0.3 ms", "no answer in 1000 ms".
[[nodiscard]] std::string in_words(std::optional<std::chrono::microseconds> response_time,
                                   std::chrono::milliseconds timeout);

/// Converts seconds, milliseconds or microseconds.
template <typename Duration>
[[nodiscard]] double in_ms(Duration duration) {
    return std::chrono::duration<double, std::milli>{duration}.count();
}

}  // namespace unfreeze
