#pragma once

#include <cstddef>
#include <string_view>

namespace unfreeze {

/// Decodes the chunked transfer coding (RFC 9112 section 7.1) in place: it moves the chunks' data
/// together inside the buffer, so that the body ends up in one piece. Chunk extensions and trailer
/// fields are checked and discarded.
class ChunkedDecoder {
public:
    enum class Result {
        need_more,          // append to the buffer and call again
        done,               // the body is complete; `raw` is the end of the trailer section
        malformed,          // invalid chunked coding
        body_too_large,     // the data exceeds body_bytes_max
        trailer_too_large,  // the trailer section exceeds trailer_bytes_max
    };

    ChunkedDecoder(std::size_t body_bytes_max, std::size_t trailer_bytes_max)
        : body_bytes_left_{body_bytes_max}, trailer_bytes_left_{trailer_bytes_max} {}

    /// Reads on at `raw` and moves the data to `body_end`. Both begin at the start of the body, and
    /// advance. On need_more, the bytes between them are erased, so that a body in many small
    /// chunks takes no more memory than the same body in one piece.
    template <typename String>  // std::string or Buffer
    [[nodiscard]] Result decode(String& buffer, std::size_t& body_end, std::size_t& raw);

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
