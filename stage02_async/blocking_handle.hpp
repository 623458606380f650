#pragma once

#include <asio.hpp>
#include <string>
#include <string_view>

#include "common/http/message.hpp"

namespace unfreeze {

/// Handles one client as stage 1 does, for the two programs beside this file: reads one request,
/// answers it with its own body, and closes the connection. Blocks the calling thread meanwhile.
inline void handle(Socket socket) {
    try {
        std::string bytes;
        const std::size_t head = asio::read_until(socket, asio::dynamic_buffer(bytes), "\r\n\r\n");
        const std::size_t body = stated_content_length(std::string_view{bytes}.substr(0, head));
        while (bytes.size() < head + body) {
            asio::read(socket, asio::dynamic_buffer(bytes), asio::transfer_at_least(1));
        }
        const std::string response = to_bytes(
            {.body = bytes.substr(head, body), .content_type = "application/octet-stream"});
        asio::write(socket, asio::buffer(response));
    } catch (const asio::system_error&) {
        // A disconnect is not a server error: only this connection ends.
    }
}

}  // namespace unfreeze
