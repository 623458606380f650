#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "common/http/buffer.hpp"
#include "common/http/chunked.hpp"
#include "common/http/message.hpp"

namespace unfreeze {

/// Limits of one request, checked before the memory is used.
struct HttpLimits {
    std::size_t head_bytes_max = 8 * 1024;   // request line and fields, line ends included
    std::size_t body_bytes_max = 64 * 1024;  // after chunked decoding
};

/// Parses requests from a stream of bytes that arrives in pieces of any size. It rejects requests
/// that are malformed, over a limit, or ambiguously framed (RFC 9112 section 11.2).
class RequestParser {
public:
    enum class Result {
        need_more,  // feed() more bytes
        request,    // request() is the next one; its views are valid until feed() or next()
        refused,    // refusal() is the response; the rest of the stream can't be parsed
    };

    /// What the parser waits for, which decides the deadline.
    enum class Phase { idle, head, body };

    explicit RequestParser(const HttpLimits& limits) : limits_{limits} {}

    /// Begins a new stream, and keeps the buffer's memory.
    void restart(const HttpLimits& limits);

    /// The size of the buffer's memory.
    std::size_t capacity() const { return buffer_.capacity(); }

    /// Adds bytes that were read at this moment.
    void feed(std::string_view bytes, std::chrono::steady_clock::time_point received = {});
    [[nodiscard]] Result next();

    const Request& request() const { return request_; }
    const Response& refusal() const { return refusal_; }

    Phase phase() const;

    /// The method of the request that is being parsed, or was parsed last; empty until it is known.
    /// A refusal needs it, because no response to HEAD has a body (RFC 9110 9.3.2).
    std::string_view method() const;

    /// Call it when next() returns need_more. Returns true once for each request whose client waits
    /// for "100 Continue" before it sends the body (RFC 9110 10.1.1).
    [[nodiscard]] bool take_continue();

    /// Whether there are bytes that belong to no parsed request.
    bool has_bytes() const { return position_ < buffer_.size(); }

private:
    enum class Reads { request_line, fields, body, chunks, nothing };

    /// A part of buffer_, by its offset from request_begin_, because feed() moves the buffer.
    struct Piece {
        std::size_t offset = 0;
        std::size_t size = 0;
    };

    /// What the fields say about framing, in one struct so that each request starts with a new one.
    struct Framing {
        std::optional<std::size_t> content_length;
        bool chunked = false;
        bool other_coding = false;  // a transfer coding that is not supported
        bool host = false;
        bool close = false;
        bool keep_alive = false;
        bool expects_continue = false;
    };

    void start();
    Result read_head();
    Result read_request_line(std::string_view line);
    Result read_field(std::string_view line);
    Result read_transfer_encoding(std::string_view codings);
    Result finish_head();
    Result read_body();
    Result read_chunks();
    Result complete();
    Result refuse(int status, std::string_view reason, std::string_view detail);
    Result refuse_request_line_size();
    Result refuse_head_size();
    Result refuse_body_size();
    Piece piece(std::string_view text) const;
    std::string_view text(Piece piece) const;

    HttpLimits limits_;
    Buffer buffer_;
    std::chrono::steady_clock::time_point received_;  // when its last bytes were read
    std::size_t request_begin_ = 0;  // offset of the first byte of the request being read
    std::size_t position_ = 0;       // offset of the first byte not yet parsed
    std::size_t scanned_ = 0;        // there is no control character between position_ and this
    Reads reads_ = Reads::request_line;
    Framing framing_;
    Piece method_;
    Piece target_;
    Piece body_;
    std::optional<ChunkedDecoder> chunks_;
    Request request_;
    Response refusal_;
};

}  // namespace unfreeze
