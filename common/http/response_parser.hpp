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
/// connection. A line may end without its CR, and a field may be folded, as RFC 9112 2.2 and 5.2
/// allow a recipient to accept. It skips interim responses (1xx). It does not support HEAD, because
/// it expects a body.
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

    /// Which byte of the stream is malformed, and why: "byte 9: expected a status of three digits".
    const std::string& fault() const { return fault_; }

private:
    enum class Reads { head, body, chunks, to_end };

    Result read_head();
    std::optional<std::size_t> end_of_head() const;
    Result malformed(std::size_t offset, std::string_view why);
    void erase(std::size_t bytes);

    std::string buffer_;
    std::size_t erased_ = 0;  // bytes of the stream before buffer_
    std::string fault_;
    Reads reads_ = Reads::head;
    std::size_t content_length_ = 0;
    std::size_t body_end_ = 0;
    std::size_t raw_ = 0;
    std::optional<ChunkedDecoder> chunks_;
    ReceivedResponse response_;
};

}  // namespace unfreeze
