#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/http/chunked.hpp"

namespace unfreeze {

/// A response that a client has received.
struct ReceivedResponse {
    int status = 0;
    std::string head;  // status line and fields
    std::string body;
    bool keep_alive = false;  // the connection can be reused

    /// The value of the first field with that name, in any letter case; empty if there is none.
    std::string_view field(std::string_view name) const;
};

/// Parses the responses of any server: a body by Content-Length, in chunks, or up to the end of the
/// connection. It skips interim responses (1xx). It does not support HEAD, because it expects a
/// body.
class ResponseParser {
public:
    enum class Result { need_more, response, malformed };

    void feed(std::string_view bytes) { buffer_ += bytes; }

    [[nodiscard]] Result next();

    /// Call it when the server has closed the connection. That completes a body without a stated
    /// length, and truncates any other.
    [[nodiscard]] Result end_of_stream();

    /// The response that next() or end_of_stream() returned; valid until next().
    ReceivedResponse& response() { return response_; }

private:
    enum class Reads { head, body, chunks, to_end };

    Result read_head();

    std::string buffer_;
    Reads reads_ = Reads::head;
    std::size_t content_length_ = 0;
    std::size_t body_end_ = 0;
    std::size_t raw_ = 0;
    std::optional<ChunkedDecoder> chunks_;
    ReceivedResponse response_;
};

}  // namespace unfreeze
