#pragma once

#include <asio.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "clients/probe/target.hpp"
#include "common/http/response_parser.hpp"

namespace unfreeze {

/// Opens a socket that is to connect to the server. Throws std::system_error where this program
/// lacks a descriptor for it: what follows tells of the server alone.
void open_socket(asio::ip::tcp::socket& socket, const Target& target);

/// One TCP connection for an experiment: every step is bounded in time, and none of them throws but
/// the first one, where this program lacks descriptors.
class Connection {
public:
    /// Connects. Even a frozen server lets it succeed: the kernel accepts on its behalf.
    explicit Connection(const Target& target);

    bool connected() const { return connected_; }

    /// Sends it all. False where the server has closed, or takes no more within `patience`.
    bool send(std::string_view bytes, std::chrono::milliseconds patience = default_patience);

    /// The next response; nothing where none came within `patience` or the server closed.
    std::optional<ReceivedResponse> receive(std::chrono::milliseconds patience = default_patience);

    /// Sends a request and returns its response. Servers close idle connections: if this one has
    /// carried a response before and ends without a byte of another, the request is sent once more,
    /// on a new connection. So it is for requests that do no harm if they arrive twice.
    std::optional<ReceivedResponse> exchange(std::string_view request,
                                             std::chrono::milliseconds patience = default_patience);

    /// Whether the server closes within `patience`; what it still sends is dropped.
    bool closed_by_server(std::chrono::milliseconds patience = default_patience);

    /// No more bytes from us; answers may still come.
    void finish_sending();

    /// Ends it with a reset, as a crashed client's kernel would.
    void reset();

    static constexpr std::chrono::milliseconds default_patience{5'000};

private:
    void connect();

    /// Runs the one operation started on io_; false where it took too long and was called off.
    bool within(std::chrono::milliseconds patience);

    Target target_;
    asio::io_context io_;
    asio::ip::tcp::socket socket_{io_};
    ResponseParser parser_;
    bool connected_ = false;
    // Asio may never report a second time what one of these has seen.
    bool ended_ = false;                // receive(): no more will come
    bool closed_ = false;               // send(): no more will be taken
    std::size_t unanswered_bytes_ = 0;  // that have come since the last response
    std::size_t responses_ = 0;
};

/// 0 where there is none.
inline int status_of(const std::optional<ReceivedResponse>& response) {
    return response ? response->status : 0;
}

/// One valid request on a connection of its own: how long until its answer came, or nothing.
std::optional<std::chrono::microseconds> probe(const Target& target,
                                               std::chrono::milliseconds patience);

/// A probe's outcome: "answered in 0.3 ms", "no answer in 1000 ms".
std::string in_words(std::optional<std::chrono::microseconds> answered,
                     std::chrono::milliseconds patience);

}  // namespace unfreeze
