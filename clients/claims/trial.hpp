#pragma once

#include <cstddef>

#include "clients/claims/claims.hpp"
#include "clients/probe/process.hpp"

namespace unfreeze {

/// What came out of a claim for a server that was started for it alone.
struct Trial {
    const Claim* claim = nullptr;
    Finding finding;
    bool ended = false;  // the server has, during the experiment

    /// Whether it came out as it has to in this stage, and the server lives if it should.
    bool as_expected(std::size_t stage) const;

    /// The server has ended, and should not have.
    bool crashed() const { return ended && !claim->traits.ends_the_server; }
};

/// Starts the server and puts it to the claim. Throws std::runtime_error where it does not start.
Trial try_claim(const Claim& claim, const Command& command);

}  // namespace unfreeze
