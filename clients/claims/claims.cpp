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
constexpr Claim::Traits weakness{.weakness = true};
constexpr Claim::Traits timed{.alone = true};
constexpr Claim::Traits timed_weakness{.weakness = true, .alone = true};
constexpr Claim::Traits ending{.ends_the_server = true};

const Claim claims[] = {
    {"silent-client", "a silent client stops everybody", 1, 1, silent_client, weakness},
    {"byte-by-byte", "a request that comes byte by byte is a request", 1, last, byte_by_byte},
    {"letter-case", "field names count in any letter case", 1, last, any_letter_case},
    {"vanishing", "100 clients that vanish in mid-request harm nobody", 1, last, vanishing_clients},
    {"twenty-silent", "20 silent clients are harmless", 2, last, twenty_silent_clients},
    {"keep-alive", "a connection carries many requests", 3, last, keep_alive},
    {"pipelining", "requests sent together are answered in order", 3, last, pipelining},
    {"garbage", "garbage is refused and the next client is served", 3, last, garbage},
    {"noise", "200 clients with 64 KiB of noise each are refused", 3, last, noise},
    {"two-readings", "what could be read in two ways is refused", 3, last, two_readings},
    {"long-head", "a head that does not end is refused", 3, last, long_head},
    {"slow-head", "a head that drips in is given up", 3, last, slow_head},
    {"large-body", "40 MB are refused while they are being sent", 3, last, large_body},
    {"reason", "who is refused is told what was wrong", 3, last, reason},
    {"deep-json", "60,000 brackets in a row are refused", 3, last, deep_json},
    {"exact", "an amount beyond 2^53 is added exactly", 4, last, exact},
    {"saturation", "a balance stops at the end of its range", 4, last, saturation},
    {"lost-update", "no update is lost under concurrent writers", 4, last, lost_update},
    {"query-beside-work", "a balance is told at once beside slow work", 4, last, query_beside_work,
     timed},
    {"slow-work", "slow work delays the answer", 4, 4, slow_work, timed_weakness},
    {"accepted-at-once", "an event is accepted before its work is done", 5, last, accepted_at_once,
     timed},
    {"overload", "overload is refused at once", 5, last, overload, timed},
    {"retry-after", "who is refused is told when to come again", 5, last, retry_after},
    {"parallel-jobs", "several jobs are worked on at a time", 6, last, parallel_jobs, timed},
    {"one-lock", "one lock caps the rate, whatever the workers", 7, 7, one_lock, timed_weakness},
    {"look-waits", "who only looks waits for the lock, too", 7, 7, look_waits, timed_weakness},
    {"hot-user", "the jobs of one user meet at a lock", 7, last, hot_user, timed_weakness},
    {"adds-up", "a reading of the counters always adds up", 9, last, adds_up, timed},
    {"exposition", "Prometheus can read the counters", 9, last, exposition},
    {"page", "a browser can watch the server", 9, last, page},
    {"drain", "no accepted job is lost on SIGTERM", 10, last, drain, ending},
    {"half-request", "half a request at SIGTERM still gets its answer", 10, last, half_request,
     ending},
};

}  // namespace

std::string briefly(std::optional<std::chrono::microseconds> answered) {
    return answered ? fmt::format("{:.1f} ms", static_cast<double>(answered->count()) / 1e3)
                    : "frozen";
}

std::string briefly(int status) { return status == 0 ? "no answer" : std::to_string(status); }

std::string briefly(std::size_t count, std::size_t of) { return fmt::format("{}/{}", count, of); }

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
