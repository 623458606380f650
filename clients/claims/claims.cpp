#include "clients/claims/claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <iterator>

#include "clients/claims/experiments.hpp"
#include "clients/probe/course.hpp"

namespace unfreeze {
namespace {

constexpr std::size_t last = last_stage;
constexpr Claim::Traits defect{.defect = true};
constexpr Claim::Traits timed{.exclusive = true};
constexpr Claim::Traits timed_defect{.defect = true, .exclusive = true};
constexpr Claim::Traits ending{.ends_the_server = true};

const Claim claims[] = {
    {"idle-client", "an idle client blocks every other client", 1, 1, idle_client_blocks_others,
     "a response", defect, "an idle client blocks no other client"},
    {"byte-by-byte", "a request may arrive byte by byte", 1, last, byte_by_byte,
     "status 200 or 202"},
    {"case-insensitive", "field names are case-insensitive", 1, last, case_insensitive_fields,
     "accepted 3 of 3"},
    {"client-resets", "100 resets mid-request affect no other client", 1, last, client_resets,
     "a response"},
    {"idle-connections", "20 idle connections do not delay anyone", 2, last, idle_connections,
     "a response"},
    {"keep-alive", "a connection carries many requests", 3, last, keep_alive,
     "20 of 20 answered on one connection"},
    {"pipelining", "pipelined requests are answered in order", 3, last, pipelining,
     "40 of 40 in order"},
    {"garbage", "garbage is rejected and the next client is served", 3, last, malformed_requests,
     "rejected 3 of 3, next client served"},
    {"random-bytes", "random bytes from 200 clients are rejected", 3, last, random_bytes,
     "rejected 200 of 200, next client served"},
    {"ambiguous-framing", "ambiguous framing is rejected", 3, last, ambiguous_framing,
     "rejected 4 of 4"},
    {"long-head", "an endless request head is rejected", 3, last, endless_head, "status 431"},
    {"slow-head", "a slow request head times out", 3, last, slow_head, "status 408"},
    {"large-body", "a 40 MB body is rejected while it is being sent", 3, last, large_body,
     "status 413 before 40960 KiB"},
    {"reason", "rejected clients are told why", 3, last, rejection_reason, "a reason for 4 of 4"},
    {"deep-json", "60,000 nested brackets are rejected", 3, last, nested_json,
     "status 400, next client served"},
    {"exact", "amounts beyond 2^53 are added exactly", 4, last, exact_amounts,
     "a balance of 9007199254740991"},
    {"saturation", "a balance saturates at the end of its range", 4, last, saturation,
     "a balance of 9223372036854775807"},
    {"lost-update", "no update is lost under concurrent writers", 4, last, lost_update,
     "all accepted updates in the balance"},
    {"query-during-work", "balance queries answer at once during slow work", 4, last,
     query_during_work, "a response before the work is done", timed},
    {"slow-work", "slow work delays the response", 4, 4, slow_work_delays_response,
     "the first response within 25 ms", timed_defect, "slow work does not delay the response"},
    {"accepted-at-once", "an event is accepted before its work is done", 5, last, accepted_at_once,
     "a response in half the time of the work", timed},
    {"overload", "overload is rejected at once", 5, last, overload,
     "some rejected, each within 1000 ms", timed},
    {"retry-after", "rejected clients are told when to retry", 5, last, retry_after,
     "a Retry-After field"},
    {"parallel-jobs", "several jobs run in parallel", 6, last, parallel_jobs,
     "more than 2.5 jobs at a time", timed},
    {"one-lock", "one lock caps the rate, however many workers", 7, 7, one_lock_caps_rate,
     "four jobs to take as long as one", timed_defect, "no single lock caps the rate"},
    {"blocking-reads", "reads block on the hot lock", 7, 7, read_waits_for_lock,
     "reads to wait at most 60 % of the time", timed_defect, "reads do not block on a hot lock"},
    {"hot-user", "one user's jobs serialize", 7, last, one_user_serializes, {}, timed_defect},
    {"counters-add-up", "the counters always add up", 9, last, counters_add_up,
     "counters that add up in every reading", timed},
    {"exposition", "Prometheus can read the counters", 9, last, prometheus_exposition,
     "status 200, typed samples"},
    {"page", "a browser can watch the server", 9, last, browser_page, "status 200, text/html"},
    {"drain", "no accepted job is lost on SIGTERM", 10, last, drain,
     "all accepted jobs done, exit status 0", ending},
    {"partial-request", "half a request at SIGTERM still gets a response", 10, last,
     partial_request, "a response, and the server exits", ending},
};

}  // namespace

std::string summarize(std::optional<std::chrono::microseconds> answered) {
    return answered ? fmt::format("{:.1f} ms", static_cast<double>(answered->count()) / 1e3)
                    : "frozen";
}

std::string summarize(int status) { return status == 0 ? "no answer" : std::to_string(status); }

std::string summarize(std::size_t count, std::size_t of) { return fmt::format("{}/{}", count, of); }

std::string Claim::range() const {
    return last_stage < last ? fmt::format("only in stage {}", first_stage)
                             : fmt::format("from stage {} on", first_stage);
}

std::span<const Claim> all_claims() { return claims; }

const Claim& claim(std::string_view name) {
    const auto* const found = std::find_if(std::begin(claims), std::end(claims),
                                           [&](const Claim& c) { return c.name == name; });
    assert(found != std::end(claims));
    return *found;
}

}  // namespace unfreeze
