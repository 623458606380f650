#pragma once

#include <cstdint>
#include <string>

namespace unfreeze {

/// Whether the text is an IPv4 address of four decimal numbers, an IPv6 address, or a host name. It
/// rejects other forms of an IPv4 address that the system would accept: 010.0.0.1 (octal: 8.0.0.1),
/// 2130706433, 127.1, 0, and an empty text, which would mean all addresses.
bool is_host(const std::string& text);

/// "127.0.0.1:80", or "[::1]:80" for an IPv6 address (RFC 3986, section 3.2.2).
std::string host_and_port(const std::string& host, std::uint16_t port);

}  // namespace unfreeze
