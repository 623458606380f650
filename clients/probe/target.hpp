#pragma once

#include <asio.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace unfreeze {

class Process;

/// The server under test.
struct Target {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;
    Process* process = nullptr;  // where it was started here, and can be told to end

    asio::ip::tcp::endpoint endpoint() const { return {asio::ip::make_address(host), port}; }
    std::string name() const;  // "127.0.0.1:8080", "[::1]:8080"
};

/// Reads "127.0.0.1:8080", "localhost:8080" or "[::1]:8080"; nothing if the text is none of them.
std::optional<Target> parse_target(const std::string& text);

/// The bytes of a valid request, to any stage: POST / with the body. `fields` are further field
/// lines, each with its CRLF.
std::string post(std::string_view body, std::string_view fields = {});

/// An event as stages 3 to 10 understand it: the n-th of a load, spread over ten users.
std::string event_body(std::size_t n);

}  // namespace unfreeze
