#include "common/http/chunked.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

#include "common/http/buffer.hpp"
#include "common/http/grammar.hpp"

namespace unfreeze {
namespace {

/// Bounds a chunk's size line. The RFC does not limit the chunk extensions in it.
constexpr std::size_t size_line_bytes_max = 256;

constexpr std::size_t npos = Buffer::npos;

/// Removes `c` and the whitespace around it from the front of `text`. Returns false if `text` does
/// not begin with them.
bool take(std::string_view& text, char c) {
    std::string_view rest = text;
    take_while<is_space_or_tab>(rest);
    if (!rest.starts_with(c)) {
        return false;
    }
    rest.remove_prefix(1);
    take_while<is_space_or_tab>(rest);
    text = rest;
    return true;
}

/// Removes a quoted-string (RFC 9110 5.6.4) from the front of `text`, which begins with a quotation
/// mark and has no control characters. Returns false if the string does not end.
bool take_quoted_string(std::string_view& text) {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            text.remove_prefix(i + 1);
            return true;
        }
        i += text[i] == '\\' ? 1 : 0;
    }
    return false;
}

/// *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ) (RFC 9112 7.1.1)
bool is_chunk_extensions(std::string_view text) {
    while (!text.empty()) {
        if (!take(text, ';') || take_while<is_token_char>(text).empty()) {
            return false;
        }
        if (take(text, '=') &&
            !(text.starts_with('"') ? take_quoted_string(text)
                                    : !take_while<is_token_char>(text).empty())) {
            return false;
        }
    }
    return true;
}

}  // namespace

template <typename String>
ChunkedDecoder::Result ChunkedDecoder::decode(String& buffer, std::size_t& body_end,
                                              std::size_t& raw) {
    const Result result = read_on(buffer, body_end, raw);
    if (result == Result::need_more) {
        // Cheap now, because only a part of one line is left to move.
        buffer.erase(body_end, raw - body_end);
        raw = body_end;
    }
    return result;
}

template <typename String>
ChunkedDecoder::Result ChunkedDecoder::read_on(String& buffer, std::size_t& body_end,
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
            return Result::malformed;  // bare LF; RFC 9112 2.2 leaves the choice
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

/// chunk-size [ chunk-ext ]: returns `done` if the line is well-formed and the chunk fits.
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
    if (!is_chunk_extensions(size_line.substr(digits))) {
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

template ChunkedDecoder::Result ChunkedDecoder::decode(std::string&, std::size_t&, std::size_t&);
template ChunkedDecoder::Result ChunkedDecoder::decode(Buffer&, std::size_t&, std::size_t&);

}  // namespace unfreeze
