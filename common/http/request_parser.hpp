#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "common/http/buffer.hpp"
#include "common/http/chunked.hpp"
#include "common/http/message.hpp"

namespace unfreeze {

/// What one request may cost. Checked before the cost is paid.
struct HttpLimits {
    std::size_t head_bytes_max = 8 * 1024;   // request line and fields, line ends included
    std::size_t body_bytes_max = 64 * 1024;  // after chunked coding is undone
};

/// Finds the requests in a stream of bytes, however the stream is cut, and trusts none of it: what
/// is malformed, over a limit, or could be read in two ways is refused (RFC 9112 section 11.2).
class RequestParser {
public:
    enum class Result {
        need_more,  // feed() more bytes
        request,    // request() is the next one; its views are good until feed() or next()
        refused,    // refusal() says why; the stream can't be trusted, nor read, any further
    };

    /// What the parser waits for, as far as deadlines are concerned.
    enum class Phase { idle, head, body };

    explicit RequestParser(const HttpLimits& limits) : limits_{limits} {}

    void feed(std::string_view bytes);
    Result next();

    const Request& request() const { return request_; }
    const Response& refusal() const { return refusal_; }

    Phase phase() const;

    /// The method of the request that is being read, or was read last; empty until it is known. A
    /// refusal needs it too: no response to HEAD has a body (RFC 9110 9.3.2).
    std::string_view method() const;

    /// True once for each request whose client waits for "100 Continue" before it sends the body
    /// (RFC 9110 10.1.1); to be asked when next() wants more.
    bool take_continue();

    /// Whether bytes were fed that no request has used up.
    bool has_bytes() const { return position_ < buffer_.size(); }

private:
    enum class Reads { request_line, fields, body, chunks, nothing };

    /// A piece of buffer_, by offset from request_begin_: the buffer moves between feeds.
    struct Piece {
        std::size_t offset = 0;
        std::size_t size = 0;
    };

    /// What the fields said about framing. Kept apart, so that a new request starts from nothing.
    struct Framing {
        std::optional<std::size_t> content_length;
        bool chunked = false;
        bool other_coding = false;  // one that is not understood
        bool host = false;
        bool close = false;
        bool keep_alive = false;
        bool expects_continue = false;
    };

    void start();
    Result read_head();
    Result check_line(std::size_t end);
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
    std::size_t request_begin_ = 0;  // offset of the first byte of the request being read
    std::size_t position_ = 0;       // offset of the first byte not yet understood
    std::size_t scanned_ = 0;        // no line end before this offset: not looked for twice
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
