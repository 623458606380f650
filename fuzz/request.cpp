// Any bytes, whole and in pieces: the parser's results do not depend on how the bytes are cut, and
// stay within its limits.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/http/message.hpp"
#include "common/http/request_parser.hpp"
#include "fuzz/check.hpp"

namespace {

using namespace unfreeze;
using Result = RequestParser::Result;

/// All requests, and the refusal if there is one, as text.
std::string read(std::string_view bytes, std::size_t piece_bytes, const HttpLimits& limits) {
    RequestParser parser{limits};
    std::string seen;
    while (!bytes.empty()) {
        parser.feed(bytes.substr(0, piece_bytes));
        bytes.remove_prefix(std::min(piece_bytes, bytes.size()));
        Result result = parser.next();
        for (; result == Result::request; result = parser.next()) {
            const Request& request = parser.request();
            check(request.body.size() <= limits.body_bytes_max, "a body is within its limit");
            check(request.method.size() + request.target.size() < limits.head_bytes_max,
                  "a head is within its limit");
            check(!request.path().empty(), "a request has a path");
            seen +=
                fmt::format("{} {} {} {} {} {}\n", request.method, request.target, request.path(),
                            request.body, request.keep_alive, request.minor_version);
        }
        if (result == Result::refused) {
            check(parser.refusal().status >= 400, "a refusal is an error");
            return fmt::format("{}{} {}", seen, parser.method(), parser.refusal().body);
        }
    }
    return seen + (parser.has_bytes() ? "unfinished" : "");
}

}  // namespace

/// The first two bytes choose the size of the pieces and the limits.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const std::string_view bytes{reinterpret_cast<const char*>(data) + 2, size - 2};
    const HttpLimits limits{.head_bytes_max = 64 + 8u * data[1], .body_bytes_max = data[1]};
    const std::string whole = read(bytes, bytes.size(), limits);
    check(whole == read(bytes, 1, limits), "byte by byte, the result is the same");
    check(whole == read(bytes, 1u + data[0], limits), "in pieces, the result is the same");
    return 0;
}
