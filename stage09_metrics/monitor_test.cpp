#include "stage09_metrics/monitor.hpp"

#include <fmt/format.h>

#include <chrono>
#include <set>
#include <sstream>
#include <vector>

#include "common/catch.hpp"
#include "common/variant.hpp"

using namespace unfreeze;
using namespace std::string_view_literals;

namespace {

const JobQueue<Job> queue{100};

/// The response to a request for metrics or the page, or to a refused request. Nothing for others.
std::optional<Response> response_to(std::string_view method, std::string_view target,
                                    std::string_view body, Metrics& metrics) {
    using Result = std::optional<Response>;
    UserLimit users{100};
    const auto message = route({.method = method, .target = target, .body = body}, users, metrics);
    const Overloaded respond{
        [](const Event&) { return Result{}; },
        [](const BalanceQuery&) { return Result{}; },
        [&](MetricsQuery) { return Result{metrics_response(metrics.events.read())}; },
        [&](ExpositionQuery) { return Result{exposition_response(metrics, {queue})}; },
        [](PageQuery) { return Result{page_response()}; },
        [](const Response& refusal) { return Result{refusal}; },
    };
    return std::visit(respond, message);
}

std::optional<Response> response_to(std::string_view method, std::string_view target,
                                    std::string_view body = "") {
    Metrics metrics;
    return response_to(method, target, body, metrics);
}

int status(std::string_view body) {
    const auto response = response_to("POST", "/", body);
    return response ? response->status : 0;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream in{text};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

}  // namespace

TEST_CASE("The four numbers add up, in JSON and in the line") {
    const Snapshot snapshot{.received = 10, .processed = 4, .dropped = 1};
    CHECK(to_json(snapshot) == R"({"received":10,"processed":4,"dropped":1,"pending":5})");
    CHECK(to_line(snapshot) == "received=10 processed=4 dropped=1 pending=5");
}

TEST_CASE("A metrics query gets the metrics, and no other body counts as one") {
    Metrics metrics;
    metrics.events.received.add(3);
    const auto response = response_to("POST", "/", R"({"type":"metrics"})", metrics);
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(response->body == R"({"received":3,"processed":0,"dropped":0,"pending":3})");
    for (const std::string_view other :
         {""sv, "{}"sv, R"({"type":"balance"})"sv, R"({"type":7})"sv, R"(["type","metrics"])"sv,
          "metrics"sv, R"({"type":"metrics")"sv, R"({"type":"metrics"} x)"sv, "null"sv,
          R"({"type":"Metrics"})"sv, R"({"type":"metrics\u0000"})"sv, R"({"type":["metrics"]})"sv,
          R"({"a":{"type":"metrics"}})"sv}) {
        INFO(other);
        CHECK(status(other) == 400);
    }
    const std::string deep(60'000, '[');
    CHECK(status(deep) == 400);
    CHECK(response_to("GET", "/nowhere")->status == 404);
}

TEST_CASE("A metrics query is validated as strictly as an event") {
    CHECK(status(R"({"type":"metrics","further":[{}],"user":"a"})") == 200);
    CHECK(status(R"({"type":"metrics","user":"a","action":"b","amount":1})") == 0);  // an event
    for (const std::string_view body :
         {"{\"type\":\"metrics\"}\0garbage"sv, "{\"type\":\"metrics\"}\0"sv,
          "{\"type\":\"metrics\",\"a\":\"\xff\"}"sv, "\xef\xbb\xbf{\"type\":\"metrics\"}"sv,
          R"({"type":"metrics","type":"metrics"})"sv, R"({"type":7,"type":"metrics"})"sv,
          R"({"type":"metrics","type":{}})"sv, R"({"type":"metrics","user":5})"sv,
          R"({"type":"metrics","amount":1e2})"sv, R"({"type":"metrics","a":"\ud800"})"sv}) {
        INFO(body);
        CHECK(status(body) == 400);
    }
}

TEST_CASE("A refused request is counted once, as a dropped event or as invalid") {
    Metrics metrics;
    metrics.count_refusal({.status = 503, .body = ""});
    CHECK(metrics.events.read() == Snapshot{.received = 1, .dropped = 1});
    CHECK(metrics.invalid.read() == 0);
    CHECK(response_to("POST", "/", "not JSON", metrics)->status == 400);
    CHECK(response_to("GET", "/nowhere", "", metrics)->status == 404);
    CHECK(metrics.events.read() == Snapshot{.received = 1, .dropped = 1});
    CHECK(metrics.invalid.read() == 2);
    response_to("POST", "/", R"({"type":"metrics"})", metrics);
    CHECK(metrics.invalid.read() == 2);
}

TEST_CASE("GET returns the page and the exposition, and other methods get 405 with Allow") {
    const auto page_shown = response_to("GET", "/?x=1");
    REQUIRE(page_shown);
    CHECK(page_shown->content_type == "text/html; charset=utf-8");
    CHECK(page_shown->body.starts_with("<!doctype html>"));
    CHECK(page_shown->body.find("</html>") != std::string::npos);
    const auto exposition = response_to("HEAD", "/metrics");
    REQUIRE(exposition);
    CHECK(exposition->content_type == "text/plain; version=0.0.4; charset=utf-8");
    for (const auto& [target, allowed] :
         {std::pair{"/", "Allow: GET, HEAD, POST\r\n"}, {"/metrics", "Allow: GET, HEAD\r\n"}}) {
        const auto refusal = response_to("DELETE", target);
        REQUIRE(refusal);
        CHECK(refusal->status == 405);
        CHECK(refusal->fields == allowed);
    }
    CHECK(response_to("POST", "/metrics")->status == 405);
}

TEST_CASE("The page loads no resource from elsewhere") {
    const std::string text{page()};
    CHECK(text.size() < 64 * 1024);
    for (const char* const reference : {"http://", "https://", "src=", "@import", "url("}) {
        INFO(reference);
        CHECK(text.find(reference) == std::string::npos);
    }
    // Relative to the page, because a proxy may serve it below another path.
    CHECK(text.find("fetch('metrics'") != std::string::npos);
}

/// The rules of the text format, version 0.0.4, that apply here: HELP and TYPE come before their
/// samples, no sample occurs twice, and a histogram's buckets never shrink and end with the count.
TEST_CASE("The exposition follows Prometheus's text format") {
    Metrics metrics;
    metrics.events.received.add(7);
    metrics.events.dropped.add(2);
    metrics.invalid.add();
    for (const int ms : {0, 3, 30, 3'000, 100'000}) {
        metrics.queued.record(std::chrono::milliseconds{ms});
    }
    const Gauge::Guard open{metrics.connections};
    JobQueue<Job> waiting{100, 16};
    while (waiting.size() < 5) {
        REQUIRE(waiting.try_push({}) == PushStatus::success);
    }
    const std::string text = to_exposition(metrics, {waiting, true});
    CHECK(text.ends_with("\n"));
    std::set<std::string> samples;
    std::string family;
    std::string type;
    std::uint64_t bucket = 0;
    for (const std::string& line : lines_of(text)) {
        INFO(line);
        std::istringstream words{line};
        std::string first;
        std::string second;
        std::string third;
        words >> first >> second >> third;
        if (first == "#" && second == "HELP") {
            family = third;
            CHECK(line.size() > line.find(third) + third.size() + 5);
            continue;
        }
        if (first == "#") {
            CHECK(second == "TYPE");
            CHECK(third == family);
            words >> type;
            CHECK((type == "counter") == family.ends_with("_total"));
            bucket = 0;
            continue;
        }
        CHECK(samples.insert(first).second);
        CHECK(first.starts_with(family));
        const double value = std::stod(second);
        if (first.find("_bucket{") != std::string::npos) {
            CHECK(static_cast<std::uint64_t>(value) >= bucket);
            bucket = static_cast<std::uint64_t>(value);
        } else if (first.ends_with("_count")) {
            CHECK(static_cast<std::uint64_t>(value) == bucket);
        }
    }
    for (const char* const sample :
         {"unfreeze_events_received_total 7", "unfreeze_events_processed_total 0",
          "unfreeze_events_dropped_total 2", "unfreeze_events_pending 5",
          "unfreeze_requests_invalid_total 1", "unfreeze_connections_open 1",
          "unfreeze_queue_depth 5", "unfreeze_queue_capacity 100", "unfreeze_workers 16",
          "unfreeze_workers_busy 0", "unfreeze_draining 1",
          "unfreeze_queue_wait_seconds_bucket{le=\"0.001\"} 1",
          "unfreeze_queue_wait_seconds_bucket{le=\"0.005\"} 2",
          "unfreeze_queue_wait_seconds_bucket{le=\"60\"} 4",
          "unfreeze_queue_wait_seconds_bucket{le=\"+Inf\"} 5",
          "unfreeze_queue_wait_seconds_sum 103.033", "unfreeze_queue_wait_seconds_count 5",
          "unfreeze_event_duration_seconds_count 0"}) {
        INFO(text);
        CHECK(text.find(fmt::format("\n{}\n", sample)) != std::string::npos);
    }
}

TEST_CASE("The exposition names the program and has a clock that goes on") {
    const std::string text = to_exposition({}, {queue});
    CHECK(text.find("\nunfreeze_server_info{program=\"stage09_test\"} 1\n") != std::string::npos);
    const auto uptime_of = [](const std::string& exposition) {
        const std::string name = "\nunfreeze_uptime_seconds ";
        const std::size_t found = exposition.find(name);
        REQUIRE(found != std::string::npos);
        return std::stod(exposition.substr(found + name.size()));
    };
    const steady_clock::time_point before = steady_clock::now();
    const double first = uptime_of(text);
    CHECK(first > 0);
    CHECK(first < 600);
    while (steady_clock::now() < before + std::chrono::milliseconds{20}) {
    }
    const double second = uptime_of(to_exposition({}, {queue}));
    const std::chrono::duration<double> passed = steady_clock::now() - before;
    CHECK(second - first >= 0.02);
    CHECK(second - first < passed.count() + 0.02);
}

TEST_CASE("The exposition has the process's start time, so that a restart shows") {
    const std::string text = to_exposition({}, {queue});
    const std::string name = "\nprocess_start_time_seconds ";
    const std::size_t found = text.find(name);
    REQUIRE(found != std::string::npos);
    CHECK(text.find("\n# TYPE process_start_time_seconds gauge\n") != std::string::npos);
    const double now =
        std::chrono::duration<double>{std::chrono::system_clock::now().time_since_epoch()}.count();
    const double start = std::stod(text.substr(found + name.size()));
    CHECK(start <= now);
    CHECK(start > now - 600);
    CHECK(to_exposition({}, {queue}).substr(found) == text.substr(found));
}
