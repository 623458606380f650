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

/// Levels that need no counting, because a part of the server knows them.
struct Gauges {
    const JobQueue<Job>& queue;
    bool draining = false;  // for stage 10: it accepts no more events and finishes
};

/// A client asks for the four event counters: {"type":"metrics"}.
struct MetricsQuery {};

/// A client asks for all metrics in Prometheus's text format: GET /metrics.
struct ExpositionQuery {};

/// A browser asks for the page that shows them: GET /.
struct PageQuery {};

/// What a request asks for: route() of stage 4, with the three queries above. Counts a request that
/// it rejects: one with 503 is an event that is dropped as soon as it comes, others are invalid.
std::variant<Event, BalanceQuery, MetricsQuery, ExpositionQuery, PageQuery, Response> route(
    const Request& request, UserLimit& users, Metrics& metrics);

/// 200 with to_json().
Response metrics_response(const Snapshot& events);

/// 200 with to_exposition().
Response exposition_response(const Metrics& metrics, const Gauges& gauges);

/// 200 with page().
Response page_response();

/// {"received":N,"processed":N,"dropped":N,"pending":N}
std::string to_json(const Snapshot& events);

/// "received=N processed=N dropped=N pending=N"
std::string to_line(const Snapshot& events);

/// Everything, in Prometheus's text format, version 0.0.4: base units, counters in `_total`.
std::string to_exposition(const Metrics& metrics, const Gauges& gauges);

/// A page that shows what /metrics says, once a second.
std::string_view page();

}  // namespace unfreeze
