#include "clients/claims/contract.hpp"

#include <fmt/format.h>

#include <sstream>
#include <string_view>

#include "clients/claims/claims.hpp"
#include "clients/probe/process.hpp"

namespace unfreeze {

namespace {

/// An item of a list, in lines of at most 110 columns.
std::string wrapped(std::string_view label, std::string_view text) {
    constexpr std::size_t columns = 110;
    std::string out;
    std::string line{label};
    std::istringstream words{std::string{text}};
    for (std::string word; words >> word;) {
        const bool first = line.ends_with(' ');
        if (!first && line.size() + 1 + word.size() > columns) {
            out += line + "\n";
            line = "  " + word;
        } else {
            line += (first ? "" : " ") + word;
        }
    }
    return out + line + "\n";
}

}  // namespace

std::string contract() {
    std::string text = fmt::format(
        "- **Address.** The server listens on 127.0.0.1, on the port that replaces each "
        "`{{port}}`, and accepts a\n"
        "  connection within {} s. Without `{{port}}`, it prints `listening on HOST:PORT` within "
        "this time.\n"
        "- **One process for each claim.** State does not have to outlive the process. SIGTERM "
        "ends it after each\n"
        "  claim, and SIGKILL follows 5 s later.\n"
        "- **HTTP.** Any legal HTTP/1.1 or HTTP/1.0 response passes: names in any case, chunks, a "
        "line end without\n"
        "  CR, a close that no field announces. JSON may have any legal spelling.\n"
        "- **Balances.** They begin at 0 and saturate at the ends of the range of 64 bits. The "
        "balance of an unknown\n"
        "  user is 0, or the response is 404.\n"
        "- **Counters.** *received* counts all valid events, also those that are refused with 503, "
        "which are\n"
        "  *dropped*. *pending* events are accepted and not yet *processed*.\n"
        "- **Time of the work.** From stage 4 on, the work for an event takes 20 to 100 ms; a "
        "sleep is enough. If it\n"
        "  takes less than 5 ms, the claims about it end with UNKNOWN. From stage 6 on, at least "
        "three jobs run at\n"
        "  once.\n"
        "- **The queue** holds about a hundred events. With `--capacity N`, the claim `overload` "
        "also checks that\n"
        "  an idle server accepts at least N of a burst, and no more than N, the jobs in progress "
        "and those done.\n"
        "- **The last line** is on standard output, flushed, and has the form\n"
        "  `received=3 processed=3 dropped=0 pending=0`. The exit status is 0.\n"
        "- **†** after a claim: only this course expects all of it, and HTTP allows a server "
        "more.\n",
        ServerProcess::start_timeout.count());
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        std::string claims;
        for (const Claim& claim : all_claims()) {
            if (claim.due_in() != stage) {
                continue;
            }
            const auto& [sent, accepted, why, by_framework] = claim.contract;
            claims += fmt::format("\n`{}`{}: {}\n\n", claim.name, by_framework.empty() ? "" : " †",
                                  claim.goal);
            claims += wrapped("- sent: ", sent) + wrapped("- accepted: ", accepted) +
                      wrapped("- why: ", why);
            claims += by_framework.empty() ? "" : wrapped("- libraries: ", by_framework);
        }
        text += claims.empty() ? "" : fmt::format("\n### Stage {}\n{}", stage, claims);
    }
    return text;
}

}  // namespace unfreeze
