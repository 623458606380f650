#include "clients/claims/trial.hpp"

#include <utility>

namespace unfreeze {

bool Trial::as_expected(std::size_t stage) const {
    return finding.holds == claim->holds_in(stage) && ended == claim->traits.ends_the_server;
}

Trial try_claim(const Claim& claim, const Command& command) {
    ServerProcess server{command};
    Finding finding = claim.experiment(server.target());
    return {&claim, std::move(finding), server.process().ended()};
}

}  // namespace unfreeze
