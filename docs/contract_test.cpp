#include "clients/claims/contract.hpp"

#include "clients/claims/claims.hpp"
#include "common/source_tree.hpp"

using namespace unfreeze;

TEST_CASE("The page about check contains the contract that check --contract prints") {
    const std::string page = text_of(source_tree / "docs/check.md");
    const std::string opening = "<!-- ./lab check --contract -->\n";
    const std::string closing = "<!-- end of ./lab check --contract -->";
    const std::size_t begin = page.find(opening);
    const std::size_t end = page.find(closing);
    REQUIRE(begin != page.npos);
    REQUIRE(end != page.npos);
    // If it differs: build/release/bin/check --contract prints the text to copy.
    CHECK(page.substr(begin + opening.size(), end - begin - opening.size()) == contract());
}

TEST_CASE("The contract says of each claim that check tests what is sent, accepted and why") {
    for (const Claim& claim : all_claims()) {
        INFO(claim.name);
        CHECK(claim.contract.sent.empty() == !claim.due_in());
        CHECK(claim.contract.accepted.empty() == !claim.due_in());
        CHECK(claim.contract.why.empty() == !claim.due_in());
    }
}
