#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/http/chunked.hpp"

namespace unfreeze {

/// A response as a client sees it.
struct ReceivedResponse {
    int status = 0;
    std::string head;  // status line and fields, for those who want to look something up
    std::string body;
    bool keep_alive = false;  // the connection may carry another request

    /// The value of the first field of that name, in any letter case; empty where there is none.
    std::string_view field(std::string_view name) const;
};

/// Finds responses in a stream of bytes, from any server: a body by Content-Length, in chunks, or
/// up to the end of the connection. Interim responses (1xx) are read over. It is for GET and POST:
/// a response to HEAD would be taken to have a body.
class ResponseParser {
public:
    enum class Result { need_more, response, malformed };

    void feed(std::string_view bytes) { buffer_ += bytes; }

    Result next();

    /// The server has closed: the end of a body that nothing else ends, or a response cut short.
    Result end_of_stream();

    /// The response that next() or end_of_stream() found; good until next().
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
