#pragma once

#include <cstddef>
#include <string_view>

namespace unfreeze {

/// The chunked transfer coding (RFC 9112 section 7.1), undone in place: the chunks' data are moved
/// together inside the buffer that they arrived in, so a body of any number of chunks ends up in
/// one piece. Extensions and trailer fields are checked and dropped.
class ChunkedDecoder {
public:
    enum class Result {
        need_more,          // append to the buffer and call again
        done,               // the body is whole, `raw` stands behind the trailer section
        malformed,          // these are no chunks
        body_too_large,     // the data would exceed body_bytes_max
        trailer_too_large,  // the trailer section exceeds trailer_bytes_max
    };

    ChunkedDecoder(std::size_t body_bytes_max, std::size_t trailer_bytes_max)
        : body_bytes_left_{body_bytes_max}, trailer_bytes_left_{trailer_bytes_max} {}

    /// Reads on at `raw` and moves the data found down to `body_end`; both start where the body
    /// does and advance. On need_more the bytes between them are erased, so that a body sent in
    /// many small chunks takes no more room than the same body sent whole.
    template <typename String>  // std::string or Buffer
    Result decode(String& buffer, std::size_t& body_end, std::size_t& raw);

private:
    enum class Expects { size_line, data, data_end, trailer_line };

    template <typename String>
    Result read_on(String& buffer, std::size_t& body_end, std::size_t& raw);
    Result start_chunk(std::string_view size_line);

    std::size_t body_bytes_left_;       // until body_bytes_max
    std::size_t trailer_bytes_left_;    // until trailer_bytes_max
    std::size_t chunk_bytes_left_ = 0;  // of the chunk being read
    Expects expects_ = Expects::size_line;
};

}  // namespace unfreeze
