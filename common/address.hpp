#pragma once

#include <cstdint>
#include <string>

namespace unfreeze {

/// Whether the text may name a host: an IPv4 address of four decimal numbers, an IPv6 address, or a
/// name. Other ways to write an IPv4 address, which the system would take, are refused: 010.0.0.1
/// (octal: 8.0.0.1), 2130706433, 127.1, 0, and an empty text, which would mean all addresses.
bool is_host(const std::string& text);

/// "127.0.0.1:80", and "[::1]:80" for an IPv6 address (RFC 3986, section 3.2.2).
std::string host_and_port(const std::string& host, std::uint16_t port);

}  // namespace unfreeze
