#include "stage09_metrics/monitor.hpp"

#include <fmt/format.h>

#include <chrono>
#include <iterator>

#include "common/json.hpp"
#include "common/variant.hpp"

namespace unfreeze {
namespace {

/// When this process started. It never changes, so it tells one process from the next.
const std::chrono::system_clock::time_point process_start = std::chrono::system_clock::now();

/// A client's browser is to run what the page brings along, and to load nothing else.
constexpr std::string_view page_fields =
    "Cache-Control: no-cache\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; connect-src 'self'\r\n";

/// Writes families of metrics, each with its HELP and TYPE.
class ExpositionWriter {
public:
    template <typename Number>
    void add(std::string_view name, std::string_view type, std::string_view help, Number value) {
        head(name, type, help);
        fmt::format_to(end(), "unfreeze_{} {}\n", name, value);
    }

    /// Prometheus wants each bucket to hold all that is smaller, too, and the last one to be the
    /// count: it is made of them, so that it always is.
    void add(std::string_view name, std::string_view help, const Histogram& histogram) {
        head(name, "histogram", help);
        const auto counts = histogram.read();
        std::uint64_t so_far = 0;
        for (std::size_t i = 0; i < counts.size(); ++i) {
            so_far += counts[i];
            const std::string le = i < Histogram::ends_ms.size()
                                       ? fmt::format("{}", Histogram::ends_ms[i] / 1e3)
                                       : "+Inf";
            fmt::format_to(end(), "unfreeze_{}_bucket{{le=\"{}\"}} {}\n", name, le, so_far);
        }
        fmt::format_to(end(), "unfreeze_{0}_sum {1}\nunfreeze_{0}_count {2}\n", name,
                       histogram.sum().count(), so_far);
    }

    std::string take() { return std::move(text_); }

private:
    std::back_insert_iterator<std::string> end() { return std::back_inserter(text_); }

    void head(std::string_view name, std::string_view type, std::string_view help) {
        fmt::format_to(end(), "# HELP unfreeze_{0} {1}\n# TYPE unfreeze_{0} {2}\n", name, help,
                       type);
    }

    std::string text_;
};

using Message =
    std::variant<Event, BalanceQuery, MetricsQuery, ExpositionQuery, PageQuery, Response>;

Message route_uncounted(const Request& request, UserLimit& users) {
    if (request.path() == "/metrics") {
        if (request.is_safe()) {
            return ExpositionQuery{};
        }
        return error_response(405, "method_not_allowed", "metrics are read by GET",
                              "Allow: GET, HEAD\r\n");
    }
    if (request.path() == "/" && request.is_safe()) {
        return PageQuery{};
    }
    if (request.path() == "/" && request.method != "POST") {
        return error_response(405, "method_not_allowed", "events come by POST, the page by GET",
                              "Allow: GET, HEAD, POST\r\n");
    }
    auto body = read_body(request);
    if (auto* refusal = std::get_if<Response>(&body)) {
        return std::move(*refusal);
    }
    Members& members = std::get<Members>(body);
    if (members.type == "metrics" && !members.duplicate_type && !members.is_event()) {
        return MetricsQuery{};
    }
    return widen<Message>(route(std::move(members), users));
}

}  // namespace

Message route(const Request& request, UserLimit& users, Metrics& metrics) {
    Message message = route_uncounted(request, users);
    if (const auto* refusal = std::get_if<Response>(&message)) {
        metrics.count_refusal(*refusal);
    }
    return message;
}

Response metrics_response(const Snapshot& events) { return {.body = to_json(events)}; }

Response exposition_response(const Metrics& metrics, const Gauges& gauges) {
    return {.body = to_exposition(metrics, gauges),
            .content_type = "text/plain; version=0.0.4; charset=utf-8"};
}

Response page_response() {
    return {.body = std::string{page()},
            .fields = page_fields,
            .content_type = "text/html; charset=utf-8"};
}

std::string to_json(const Snapshot& events) {
    return JsonObject{}
        .add("received", events.received)
        .add("processed", events.processed)
        .add("dropped", events.dropped)
        .add("pending", events.pending())
        .text();
}

std::string to_line(const Snapshot& events) {
    return fmt::format("received={} processed={} dropped={} pending={}", events.received,
                       events.processed, events.dropped, events.pending());
}

std::string to_exposition(const Metrics& metrics, const Gauges& gauges) {
    const Snapshot events = metrics.events.read();
    ExpositionWriter text;
    text.add("events_received_total", "counter", "Events that came.", events.received);
    text.add("events_processed_total", "counter", "Events that have been worked on.",
             events.processed);
    text.add("events_dropped_total", "counter", "Events refused, as there was no room for them.",
             events.dropped);
    text.add("events_pending", "gauge", "Events accepted and not yet processed.", events.pending());
    text.add("requests_invalid_total", "counter",
             "Requests that made no sense, were too long, too slow or cut off.",
             metrics.invalid.read());
    text.add("connections_open", "gauge", "Connections being served.", metrics.connections.read());
    text.add("queue_depth", "gauge",
             "Events in the queue: for each idle worker one more than its capacity.",
             gauges.queue.size());
    text.add("queue_capacity", "gauge", "Events that may wait.", gauges.queue.capacity());
    text.add("workers", "gauge", "Threads that work on events.", gauges.queue.poppers());
    text.add("workers_busy", "gauge", "Workers that have an event in hand.", metrics.busy.read());
    text.add("draining", "gauge", "1 while the server finishes, and takes no more events.",
             gauges.draining ? 1 : 0);
    text.add("queue_wait_seconds", "Time that events have waited for a worker.", metrics.queued);
    text.add("event_duration_seconds", "Time from an event's acceptance to the end of its work.",
             metrics.processed);
    // Prometheus' own name for it, which its functions and dashboards know.
    return text.take() +
           fmt::format(
               "# HELP process_start_time_seconds When the server started, as Unix time.\n"
               "# TYPE process_start_time_seconds gauge\n"
               "process_start_time_seconds {:.3f}\n",
               std::chrono::duration<double>{process_start.time_since_epoch()}.count());
}

}  // namespace unfreeze
