#include "clients/target.hpp"

#include <fmt/format.h>

#include "common/grammar.hpp"

namespace unfreeze {

std::string Target::name() const { return fmt::format("{}:{}", host, port); }

std::optional<Target> parse_target(const std::string& host_and_port) {
    const std::size_t colon = host_and_port.rfind(':');
    const long long port =
        colon == std::string::npos ? -1 : parse_length(host_and_port.substr(colon + 1));
    std::string host = host_and_port.substr(0, colon);
    host = host == "localhost" ? "127.0.0.1" : host;
    asio::error_code no_address;
    asio::ip::make_address(host, no_address);
    if (no_address || port < 1 || port > 65535) {
        return std::nullopt;
    }
    return Target{host, static_cast<std::uint16_t>(port)};
}

std::string post(std::string_view body, std::string_view fields) {
    return fmt::format("POST / HTTP/1.1\r\nHost: unfreeze\r\n{}Content-Length: {}\r\n\r\n{}",
                       fields, body.size(), body);
}

std::string event_body(std::size_t n) {
    return fmt::format(R"({{"user":"user{}","action":"buy","amount":{}}})", n % 10, n % 100 + 1);
}

}  // namespace unfreeze
