#pragma once

#include <cstddef>
#include <functional>
#include <optional>

#include "clients/claims/claims.hpp"
#include "clients/probe/conversation.hpp"
#include "clients/probe/process.hpp"

namespace unfreeze {

/// The result of a claim for a server that was started for this claim only.
struct Trial {
    const Claim* claim = nullptr;
    Finding finding;
    bool ended = false;  // whether the server exited during the experiment
    std::optional<int> exit_status = {};

    /// Whether the claim has the result that is expected in this stage, and the server exited only
    /// if the claim ends it.
    bool as_expected(std::size_t stage) const;

    /// Whether the server exited, but should not have.
    bool crashed() const { return ended && !claim->traits.ends_the_server; }
};

struct TrialOptions {
    std::size_t queue_capacity = 0;                 // 0: unknown
    Conversation* conversation = nullptr;           // records the trial
    std::function<void(const Process&)> done = {};  // called before the server is stopped
};

/// Starts the server and tests it. Throws std::runtime_error if it does not start.
Trial try_claim(const Claim& claim, const Command& command, const TrialOptions& options = {});

}  // namespace unfreeze
