#include "stage09_metrics/monitor.hpp"

#include <errno.h>  // program_invocation_short_name, glibc's
#include <fmt/format.h>

#include <chrono>
#include <iterator>

#include "common/json.hpp"
#include "common/variant.hpp"

namespace unfreeze {
namespace {

/// The start time of this process. It is constant, so a change of it shows a restart. It is cut to
/// milliseconds, because rounding could move it into the future.
const auto process_start =
    std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());

/// The same moment on the clock that never jumps, for the uptime.
const auto process_start_steady = steady_clock::now();

/// The browser may run the page's own script and styles, and may load data only from this server.
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

    /// Prometheus requires that each bucket includes all smaller ones, and that the last one equals
    /// the count. So the count is the sum of the buckets that were read.
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

    /// A label on a constant 1 tells a monitoring system what the other metrics belong to.
    void add_info(std::string_view name, std::string_view help, std::string_view label,
                  std::string_view value) {
        head(name, "gauge", help);
        fmt::format_to(end(), "unfreeze_{}{{{}=\"{}\"}} 1\n", name, label, value);
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
    const std::chrono::duration<double> uptime = steady_clock::now() - process_start_steady;
    ExpositionWriter text;
    text.add("events_received_total", "counter", "Events received.", events.received);
    text.add("events_processed_total", "counter", "Events processed.", events.processed);
    text.add("events_dropped_total", "counter", "Events rejected with 503.", events.dropped);
    text.add("events_pending", "gauge", "Events accepted and not yet processed.", events.pending());
    text.add("requests_invalid_total", "counter",
             "Requests that were malformed, too large, too slow or cut off, or had a wrong path "
             "or method.",
             metrics.invalid.read());
    text.add("connections_open", "gauge", "Connections being served.", metrics.connections.read());
    text.add("queue_depth", "gauge", "Events in the queue. Each idle worker adds one to the limit.",
             gauges.queue.size());
    text.add("queue_capacity", "gauge",
             "Maximum number of events in the queue while all workers are busy.",
             gauges.queue.capacity());
    text.add("workers", "gauge", "Worker threads.", gauges.queue.poppers());
    text.add("workers_busy", "gauge", "Workers that are processing an event.", metrics.busy.read());
    text.add("draining", "gauge", "1 while the server drains and rejects new events, otherwise 0.",
             gauges.draining ? 1 : 0);
    text.add_info("server_info", "The program that answers.", "program",
                  program_invocation_short_name);
    text.add("uptime_seconds", "gauge",
             "Time since the server started, read together with the event counters.",
             fmt::format("{:.6f}", uptime.count()));
    text.add("queue_wait_seconds", "Time that events waited for a worker.", metrics.queued);
    text.add("event_duration_seconds", "Time from receiving an event to the end of its processing.",
             metrics.processed);
    // This name is a convention of Prometheus, so it has no prefix.
    return text.take() +
           fmt::format(
               "# HELP process_start_time_seconds Start time of the server, in seconds of Unix "
               "time.\n"
               "# TYPE process_start_time_seconds gauge\n"
               "process_start_time_seconds {:.3f}\n",
               std::chrono::duration<double>{process_start.time_since_epoch()}.count());
}

}  // namespace unfreeze
