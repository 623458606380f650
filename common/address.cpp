#include "common/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

namespace unfreeze {

bool is_host(const std::string& text) {
    in6_addr address{};
    const std::string without_zone = text.substr(0, text.find('%'));  // of fe80::1%eth0
    if (inet_pton(AF_INET, text.c_str(), &address) == 1 ||
        inet_pton(AF_INET6, without_zone.c_str(), &address) == 1) {
        return true;
    }
    constexpr const char* name_characters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    in_addr odd_address{};
    return !text.empty() && text.find_first_not_of(name_characters) == text.npos &&
           inet_aton(text.c_str(), &odd_address) == 0;
}

std::string host_and_port(const std::string& host, std::uint16_t port) {
    const bool ipv6 = host.find(':') != host.npos;
    return ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace unfreeze
