#include "clients/probe/target.hpp"

#include <fmt/format.h>

#include "common/address.hpp"
#include "common/http/grammar.hpp"
#include "common/json.hpp"

namespace unfreeze {

std::string Target::name() const { return host_and_port(host, port); }

std::optional<Target> parse_target(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    const long long port = colon == std::string::npos ? -1 : parse_length(text.substr(colon + 1));
    std::string host = text.substr(0, colon);
    host = host == "localhost" ? "127.0.0.1" : host;
    const bool brackets = host.starts_with('[') && host.ends_with(']');
    host = brackets ? host.substr(1, host.size() - 2) : host;
    asio::error_code no_address;
    const bool ipv6 = asio::ip::make_address(host, no_address).is_v6();
    if (no_address || ipv6 != brackets || port < 1 || port > 65535) {
        return std::nullopt;
    }
    return Target{.host = host, .port = static_cast<std::uint16_t>(port)};
}

std::string post(std::string_view body, std::string_view fields) {
    return fmt::format("POST / HTTP/1.1\r\nHost: unfreeze\r\n{}Content-Length: {}\r\n\r\n{}",
                       fields, body.size(), body);
}

std::string event_body(std::size_t n) {
    return JsonObject{}
        .add("user", fmt::format("user{}", n % 10))
        .add("action", "buy")
        .add("amount", n % 100 + 1)
        .text();
}

}  // namespace unfreeze
