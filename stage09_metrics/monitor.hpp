#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/http.hpp"
#include "stage09_metrics/metrics.hpp"

namespace unfreeze {

/// How full the parts of a server are, and of how much: what nobody has to count.
struct Levels {
    std::size_t queue_depth = 0;
    std::size_t queue_capacity = 0;
    std::size_t workers = 0;
    bool draining = false;  // it takes no more events, and ends when it has none
};

/// The answer to whoever wants to look: GET / has a page, GET /metrics what Prometheus reads, and
/// POST / of {"type":"metrics"} the four numbers. Nothing for any other request to /.
std::optional<Response> look(const Request& request, const Metrics& metrics, const Levels& levels);

/// {"received":N,"processed":N,"dropped":N,"pending":N}
std::string to_json(const Reading& reading);

/// "received=N processed=N dropped=N pending=N"
std::string to_line(const Reading& reading);

/// Everything, in Prometheus's text format, version 0.0.4: base units, counters in `_total`.
std::string to_exposition(const Metrics& metrics, const Levels& levels);

/// A page that shows what /metrics says, once a second.
std::string_view page();

}  // namespace unfreeze
