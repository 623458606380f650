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
    {"silent-client", "a silent client stops everybody", 1, 1, idle_client_blocks_others, defect},
    {"byte-by-byte", "a request that comes byte by byte is a request", 1, last, byte_by_byte},
    {"letter-case", "field names count in any letter case", 1, last, case_insensitive_fields},
    {"vanishing", "100 clients that vanish in mid-request harm nobody", 1, last, client_resets},
    {"twenty-silent", "20 silent clients are harmless", 2, last, idle_connections},
    {"keep-alive", "a connection carries many requests", 3, last, keep_alive},
    {"pipelining", "requests sent together are answered in order", 3, last, pipelining},
    {"garbage", "garbage is refused and the next client is served", 3, last, malformed_requests},
    {"noise", "200 clients with 64 KiB of noise each are refused", 3, last, random_bytes},
    {"two-readings", "what could be read in two ways is refused", 3, last, ambiguous_framing},
    {"long-head", "a head that does not end is refused", 3, last, endless_head},
    {"slow-head", "a head that drips in is given up", 3, last, slow_head},
    {"large-body", "40 MB are refused while they are being sent", 3, last, large_body},
    {"reason", "who is refused is told what was wrong", 3, last, rejection_reason},
    {"deep-json", "60,000 brackets in a row are refused", 3, last, nested_json},
    {"exact", "an amount beyond 2^53 is added exactly", 4, last, exact_amounts},
    {"saturation", "a balance stops at the end of its range", 4, last, saturation},
    {"lost-update", "no update is lost under concurrent writers", 4, last, lost_update},
    {"query-beside-work", "a balance is told at once beside slow work", 4, last, query_during_work,
     timed},
    {"slow-work", "slow work delays the answer", 4, 4, slow_work_delays_response, timed_defect},
    {"accepted-at-once", "an event is accepted before its work is done", 5, last, accepted_at_once,
     timed},
    {"overload", "overload is refused at once", 5, last, overload, timed},
    {"retry-after", "who is refused is told when to come again", 5, last, retry_after},
    {"parallel-jobs", "several jobs are worked on at a time", 6, last, parallel_jobs, timed},
    {"one-lock", "one lock caps the rate, whatever the workers", 7, 7, one_lock_caps_rate,
     timed_defect},
    {"look-waits", "who only looks waits for the lock, too", 7, 7, read_waits_for_lock,
     timed_defect},
    {"hot-user", "the jobs of one user meet at a lock", 7, last, one_user_serializes, timed_defect},
    {"adds-up", "a reading of the counters always adds up", 9, last, consistent_counters, timed},
    {"exposition", "Prometheus can read the counters", 9, last, prometheus_exposition},
    {"page", "a browser can watch the server", 9, last, browser_page},
    {"drain", "no accepted job is lost on SIGTERM", 10, last, drain, ending},
    {"half-request", "half a request at SIGTERM still gets its answer", 10, last, partial_request,
     ending},
};

}  // namespace

std::string summarize(std::optional<std::chrono::microseconds> answered) {
    return answered ? fmt::format("{:.1f} ms", static_cast<double>(answered->count()) / 1e3)
                    : "frozen";
}

std::string summarize(int status) { return status == 0 ? "no answer" : std::to_string(status); }

std::string summarize(std::size_t count, std::size_t of) { return fmt::format("{}/{}", count, of); }

std::string Claim::range() const {
    return last_stage < last ? fmt::format("in stage {} alone", first_stage)
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
