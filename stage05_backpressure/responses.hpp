#pragma once

#include <fmt/format.h>

#include <string_view>

#include "common/http.hpp"

namespace unfreeze {

/// 202: the event is in the queue, and will be worked on.
inline Response accepted_response() { return {.status = 202, .body = R"({"status":"accepted"})"}; }

/// 503: nothing has been done and nothing will be; the client may come again in a second.
inline Response rejected_response(std::string_view reason) {
    return {.status = 503,
            .body = fmt::format(R"({{"status":"rejected","reason":"{}"}})", reason),
            .fields = "Retry-After: 1\r\n"};
}

/// The same from a server that is about to end: the connection ends with it.
inline Response ending_response() {
    Response response = rejected_response("shutting_down");
    response.close = true;
    return response;
}

}  // namespace unfreeze
