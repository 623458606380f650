#include "common/http/response_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/http/grammar.hpp"

namespace unfreeze {
namespace {

/// Limits of a response.
constexpr std::size_t head_bytes_max = 64 * 1024;
constexpr std::size_t body_bytes_max = 1024 * 1024 * 1024;

/// Calls `each` with every field of a head, without its status line.
template <typename Each>
void for_each_field(std::string_view head, Each each) {
    if (head.empty()) {
        return;  // there is no response
    }
    head.remove_prefix(head.find("\r\n") + 2);
    while (!head.empty()) {
        const std::size_t line_end = head.find("\r\n");
        each(parse_field(head.substr(0, line_end)), head.substr(0, line_end));
        head.remove_prefix(line_end + 2);
    }
}

/// A head whose lines all end with CRLF, and without its last line, which is empty. A folded line,
/// which begins with a space or a tab, is joined to the one before.
std::string with_crlf(std::string_view head) {
    std::string text;
    while (!head.empty()) {
        const std::size_t line_end = head.find('\n');
        std::string_view line = head.substr(0, line_end);
        head.remove_prefix(line_end + 1);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (!line.empty() && is_space_or_tab(line.front()) && text.ends_with("\r\n")) {
            text.replace(text.size() - 2, 2, " ");
            line = trimmed(line);
        }
        text.append(line).append(line.empty() ? "" : "\r\n");
    }
    return text;
}

}  // namespace

std::string_view ReceivedResponse::field(std::string_view name) const {
    std::string_view value;
    for_each_field(head, [&](const Field& field, std::string_view) {
        if (value.empty() && equals_ignoring_case(field.name, name)) {
            value = field.value;
        }
    });
    return value;
}

ResponseParser::Result ResponseParser::next() {
    if (reads_ == Reads::head) {
        const Result result = read_head();
        if (result != Result::response) {
            return result;
        }
    }
    if (reads_ == Reads::chunks) {
        const auto result = chunks_->decode(buffer_, body_end_, raw_);
        if (result == ChunkedDecoder::Result::need_more) {
            return Result::need_more;
        }
        if (result != ChunkedDecoder::Result::done) {
            return malformed(raw_, "the chunked coding before it is invalid");
        }
    } else if (reads_ == Reads::to_end || buffer_.size() < content_length_) {
        return buffer_.size() > body_bytes_max ? malformed(body_bytes_max, "the body is too large")
                                               : Result::need_more;
    } else {
        body_end_ = raw_ = content_length_;
    }
    response_.body = buffer_.substr(0, body_end_);
    erase(raw_);
    reads_ = Reads::head;
    return Result::response;
}

ResponseParser::Result ResponseParser::end_of_stream() {
    if (reads_ != Reads::to_end) {
        return Result::malformed;
    }
    response_.body = std::exchange(buffer_, {});
    reads_ = Reads::head;
    return Result::response;
}

/// The offset after the empty line that ends the head.
std::optional<std::size_t> ResponseParser::end_of_head() const {
    for (std::size_t at = buffer_.find('\n'); at != std::string::npos;
         at = buffer_.find('\n', at + 1)) {
        const std::string_view next = std::string_view{buffer_}.substr(at + 1, 2);
        if (next.starts_with('\n') || next == "\r\n") {
            return at + (next == "\r\n" ? 3 : 2);
        }
    }
    return std::nullopt;
}

ResponseParser::Result ResponseParser::malformed(std::size_t offset, std::string_view why) {
    fault_ = fmt::format("byte {}: {}", erased_ + offset, why);
    return Result::malformed;
}

void ResponseParser::erase(std::size_t bytes) {
    buffer_.erase(0, bytes);
    erased_ += bytes;
}

/// Returns `response` when a head has been parsed and removed from the buffer.
ResponseParser::Result ResponseParser::read_head() {
    constexpr std::string_view version = "HTTP/1.";
    if (!buffer_.empty() &&
        !buffer_.starts_with(version.substr(0, std::min(version.size(), buffer_.size())))) {
        const auto end = std::mismatch(version.begin(), version.end(), buffer_.begin()).second;
        return malformed(static_cast<std::size_t>(end - buffer_.begin()),
                         "a status line begins with HTTP/1.");
    }
    const std::optional<std::size_t> end = end_of_head();
    if (!end) {
        return buffer_.size() > head_bytes_max ? malformed(head_bytes_max, "the head is too large")
                                               : Result::need_more;
    }
    response_ = {};
    response_.head = with_crlf(std::string_view{buffer_}.substr(0, *end));

    const std::string_view head = response_.head;
    const std::string_view status = head.substr(0, 12);  // "HTTP/1.1 200"
    if (status.size() < 12 || !is_digit(status[7]) || status[8] != ' ' ||
        parse_length(status.substr(9)) < 100 || (head[12] != ' ' && head[12] != '\r')) {
        return malformed(status.size() > 8 && is_digit(status[7]) && status[8] == ' ' ? 9 : 7,
                         "expected a version and a status of three digits, as in HTTP/1.1 200 OK");
    }
    response_.status = static_cast<int>(parse_length(status.substr(9)));
    if (response_.status < 200) {
        erase(*end);
        return read_head();  // an interim response; the final one follows
    }

    std::string wrong;
    bool chunked = false;
    bool close = false;
    bool keep_alive = status[7] != '0';
    std::optional<long long> length;
    for_each_field(head, [&](const Field& field, std::string_view line) {
        if (field.name.empty()) {
            wrong = fmt::format("'{}' is not a field", line);
        } else if (equals_ignoring_case(field.name, "Content-Length")) {
            const long long stated = parse_length(field.value);
            if (stated < 0 || length.value_or(stated) != stated) {
                wrong = fmt::format("the Content-Length '{}' is invalid", field.value);
            }
            length = stated;
        } else if (equals_ignoring_case(field.name, "Transfer-Encoding")) {
            for_each_element(field.value, [&](std::string_view coding) {
                chunked = equals_ignoring_case(coding, "chunked");  // the last one frames
            });
        } else if (equals_ignoring_case(field.name, "Connection")) {
            for_each_element(field.value, [&](std::string_view option) {
                close = close || equals_ignoring_case(option, "close");
                keep_alive = keep_alive || equals_ignoring_case(option, "keep-alive");
            });
        }
    });
    const bool bodiless = response_.status == 204 || response_.status == 304;
    content_length_ = bodiless ? 0 : static_cast<std::size_t>(length.value_or(0));
    if (!wrong.empty()) {
        const std::size_t quote = wrong.find('\'') + 1;
        const std::size_t at = buffer_.find(wrong.substr(quote, wrong.rfind('\'') - quote));
        return malformed(at == std::string::npos ? 0 : at, wrong);
    }
    if (content_length_ > body_bytes_max) {
        return malformed(0, "the Content-Length is too large");
    }
    erase(*end);
    response_.keep_alive = keep_alive && !close;
    body_end_ = raw_ = 0;
    if (chunked && !bodiless) {
        reads_ = Reads::chunks;
        chunks_.emplace(body_bytes_max, head_bytes_max);
    } else if (length || bodiless) {
        reads_ = Reads::body;
    } else {
        reads_ = Reads::to_end;
        response_.keep_alive = false;
    }
    return Result::response;
}

}  // namespace unfreeze
