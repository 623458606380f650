#include "clients/claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <iterator>

#include "clients/experiments.hpp"

namespace unfreeze {
namespace {

constexpr std::size_t last = 10;  // stages in the course

const Claim claims[] = {
    {"silent-client", "a silent client stops everybody", 1, 1, silent_client},
    {"twenty-silent", "20 silent clients are harmless", 2, last, twenty_silent_clients},
    {"byte-by-byte", "a request that comes byte by byte is a request", 1, last, byte_by_byte},
    {"letter-case", "field names count in any letter case", 1, last, any_letter_case},
    {"vanishing", "100 clients that vanish in mid-request harm nobody", 1, last, vanishing_clients},
    {"garbage", "garbage is refused and the next client is served", 3, last, garbage},
    {"noise", "200 clients with 64 KiB of noise each are refused", 3, last, noise},
    {"large-body", "40 MB are refused while they are being sent", 3, last, large_body},
    {"pipelining", "requests sent together are answered in order", 3, last, pipelining},
    {"lost-update", "no update is lost under concurrent writers", 4, last, lost_update},
    {"query-beside-work", "a balance is told at once beside slow work", 4, last, query_beside_work},
    {"slow-work", "slow work delays the answer", 4, 4, slow_work},
    {"overload", "overload is refused at once", 5, last, overload},
    {"parallel-jobs", "several jobs are worked on at a time", 6, last, parallel_jobs},
    {"one-lock", "one lock caps the rate, whatever the workers", 7, 7, one_lock},
    {"hot-user", "the jobs of one user meet at a lock", 7, last, hot_user},
    {"adds-up", "a reading of the counters always adds up", 9, last, adds_up},
    {"drain", "no accepted job is lost on SIGTERM", 10, last, drain, true},
};

}  // namespace

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
