#include "common/http/response_parser.hpp"

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
        each(parse_field(head.substr(0, line_end)));
        head.remove_prefix(line_end + 2);
    }
}

}  // namespace

std::string_view ReceivedResponse::field(std::string_view name) const {
    std::string_view value;
    for_each_field(head, [&](const Field& field) {
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
            return Result::malformed;
        }
    } else if (reads_ == Reads::to_end || buffer_.size() < content_length_) {
        return buffer_.size() > body_bytes_max ? Result::malformed : Result::need_more;
    } else {
        body_end_ = raw_ = content_length_;
    }
    response_.body = buffer_.substr(0, body_end_);
    buffer_.erase(0, raw_);
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

/// Returns `response` when a head has been parsed and removed from the buffer.
ResponseParser::Result ResponseParser::read_head() {
    const std::size_t end = buffer_.find("\r\n\r\n");
    if (end == std::string::npos) {
        return buffer_.size() > head_bytes_max ? Result::malformed : Result::need_more;
    }
    response_ = {};
    response_.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);

    const std::string_view head = response_.head;
    const std::string_view status = head.substr(0, 12);  // "HTTP/1.1 200"
    if (status.size() < 12 || !status.starts_with("HTTP/1.") || !is_digit(status[7]) ||
        status[8] != ' ' || parse_length(status.substr(9)) < 100 ||
        (head[12] != ' ' && head[12] != '\r')) {
        return Result::malformed;
    }
    response_.status = static_cast<int>(parse_length(status.substr(9)));
    if (response_.status < 200) {
        return read_head();  // an interim response; the final one follows
    }

    bool malformed = false;
    bool chunked = false;
    bool close = false;
    bool keep_alive = status[7] != '0';
    std::optional<long long> length;
    for_each_field(head, [&](const Field& field) {
        malformed = malformed || field.name.empty();
        if (equals_ignoring_case(field.name, "Content-Length")) {
            const long long stated = parse_length(field.value);
            malformed = malformed || stated < 0 || length.value_or(stated) != stated;
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
    if (malformed || content_length_ > body_bytes_max) {
        return Result::malformed;
    }
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
