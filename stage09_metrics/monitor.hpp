#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "common/http/message.hpp"
#include "stage04_state/query.hpp"
#include "stage06_workers/worker_pool.hpp"
#include "stage09_metrics/metrics.hpp"

namespace unfreeze {

/// How full the parts of a server are, and of how much: what nobody has to count.
struct Gauges {
    const JobQueue<Job>& queue;
    std::size_t workers = 0;
    bool draining = false;  // it takes no more events, and ends when it has none
};

/// What a client can see of the server: a page by GET /, what Prometheus reads by GET /metrics, and
/// the four numbers by POST / of {"type":"metrics"}.
enum class View { page, exposition, numbers };

/// What a request asks for, or the answer that refuses it: read_message() with views.
std::variant<Event, BalanceQuery, View, Response> route(const Request& request, UserLimit& users);

/// The answer to a client that asks for a view.
Response show(View view, const Metrics& metrics, const Gauges& levels);

/// {"received":N,"processed":N,"dropped":N,"pending":N}
std::string to_json(const Snapshot& reading);

/// "received=N processed=N dropped=N pending=N"
std::string to_line(const Snapshot& reading);

/// Everything, in Prometheus's text format, version 0.0.4: base units, counters in `_total`.
std::string to_exposition(const Metrics& metrics, const Gauges& levels);

/// A page that shows what /metrics says, once a second.
std::string_view page();

}  // namespace unfreeze
