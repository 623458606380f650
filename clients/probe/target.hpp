#pragma once

#include <asio.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace unfreeze {

class Conversation;
class Process;

/// The server under test.
struct Target {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;
    Process* process = nullptr;            // set if this program started it, and so may stop it
    std::size_t queue_capacity = 0;         // 0: unknown
    Conversation* conversation = nullptr;  // records what all connections send and receive

    asio::ip::tcp::endpoint endpoint() const { return {asio::ip::make_address(host), port}; }
    std::string name() const;  // "127.0.0.1:8080", "[::1]:8080"
};

/// Reads "127.0.0.1:8080", "localhost:8080" or "[::1]:8080"; nothing if the text has another form.
[[nodiscard]] std::optional<Target> parse_target(const std::string& text);

/// The bytes of a request that every stage accepts: POST / with the body. `fields` are further
/// field lines, each with its CRLF.
[[nodiscard]] std::string post(std::string_view body, std::string_view fields = {});

/// The body of a load's n-th event, as stages 3 to 10 understand it. Ten users take turns.
[[nodiscard]] std::string event_body(std::size_t n);

}  // namespace unfreeze
