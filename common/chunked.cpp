#include "common/chunked.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "common/grammar.hpp"

namespace unfreeze {
namespace {

/// A chunk's size and its extensions share one line, and nothing says how long extensions may be.
constexpr std::size_t size_line_bytes_max = 256;

constexpr std::size_t npos = std::string::npos;

}  // namespace

ChunkedDecoder::Result ChunkedDecoder::decode(std::string& buffer, std::size_t& body_end,
                                              std::size_t& raw) {
    const Result result = read_on(buffer, body_end, raw);
    if (result == Result::need_more) {
        // Cheap here, and only here: all but a part of one line has been read.
        buffer.erase(body_end, raw - body_end);
        raw = body_end;
    }
    return result;
}

ChunkedDecoder::Result ChunkedDecoder::read_on(std::string& buffer, std::size_t& body_end,
                                               std::size_t& raw) {
    for (;;) {
        if (expects_ == Expects::data) {
            const std::size_t bytes = std::min(chunk_bytes_left_, buffer.size() - raw);
            std::memmove(buffer.data() + body_end, buffer.data() + raw, bytes);
            body_end += bytes;
            raw += bytes;
            chunk_bytes_left_ -= bytes;
            if (chunk_bytes_left_ > 0) {
                return Result::need_more;
            }
            expects_ = Expects::data_end;
        }

        const std::size_t line_bytes_max =
            expects_ == Expects::trailer_line ? trailer_bytes_left_ : size_line_bytes_max;
        const auto too_long =
            expects_ == Expects::trailer_line ? Result::trailer_too_large : Result::malformed;
        const std::size_t newline = buffer.find('\n', raw);
        if (newline == npos) {
            return buffer.size() - raw > line_bytes_max ? too_long : Result::need_more;
        }
        if (newline + 1 - raw > line_bytes_max) {
            return too_long;
        }
        if (newline == raw || buffer[newline - 1] != '\r') {
            return Result::malformed;  // a bare LF: RFC 9112 2.2 leaves the choice
        }
        const std::string_view line{buffer.data() + raw, newline - 1 - raw};
        raw = newline + 1;

        switch (expects_) {
            case Expects::size_line: {
                const Result result = start_chunk(line);
                if (result != Result::done) {
                    return result;
                }
                break;
            }
            case Expects::data_end:
                if (!line.empty()) {
                    return Result::malformed;
                }
                expects_ = Expects::size_line;
                break;
            case Expects::trailer_line:
                if (line.empty()) {
                    return Result::done;
                }
                if (parse_field(line).name.empty()) {
                    return Result::malformed;
                }
                trailer_bytes_left_ -= line.size() + 2;
                break;
            case Expects::data: break;  // read above
        }
    }
}

/// chunk-size [ chunk-ext ]: `done` where the line is well-formed and the chunk fits.
ChunkedDecoder::Result ChunkedDecoder::start_chunk(std::string_view size_line) {
    if (std::any_of(size_line.begin(), size_line.end(), is_control_char)) {
        return Result::malformed;
    }
    std::size_t size = 0;
    const char* const end = size_line.data() + size_line.size();
    const auto [after, error] = std::from_chars(size_line.data(), end, size, 16);
    const std::size_t digits = static_cast<std::size_t>(after - size_line.data());
    if (digits == 0) {
        return Result::malformed;
    }
    // Whitespace before an extension is "bad whitespace" (RFC 9112 7.1.1): read over, but only
    // where a semicolon follows.
    const std::string_view extension = trimmed(size_line.substr(digits));
    if (extension.empty() ? digits != size_line.size() : extension.front() != ';') {
        return Result::malformed;
    }
    if (error == std::errc::result_out_of_range || size > body_bytes_left_) {
        return Result::body_too_large;
    }
    body_bytes_left_ -= size;
    chunk_bytes_left_ = size;
    expects_ = size == 0 ? Expects::trailer_line : Expects::data;
    return Result::done;
}

}  // namespace unfreeze
