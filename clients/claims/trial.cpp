#include "clients/claims/trial.hpp"

#include <utility>

namespace unfreeze {

bool Trial::as_expected(std::size_t stage) const {
    return finding.holds == claim->holds_in(stage) && ended == claim->traits.ends_the_server;
}

Trial try_claim(const Claim& claim, const Command& command, const TrialOptions& options) {
    ServerProcess server{command};
    Target target = server.target();
    target.queue_capacity = options.queue_capacity;
    target.conversation = options.conversation;
    Finding finding = claim.experiment(target);
    Trial trial{&claim, std::move(finding), server.process().ended(),
                server.process().exit_status()};
    if (options.done) {
        options.done(server.process());
    }
    return trial;
}

}  // namespace unfreeze
