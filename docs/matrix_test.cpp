#include <sstream>

#include "clients/claims/claims.hpp"
#include "common/source_tree.hpp"

using namespace unfreeze;

namespace {

/// The cells of a table row such as "| a | b |", without the spaces around them.
std::vector<std::string> cells_of(const std::string& line) {
    std::istringstream in{line.substr(2)};
    std::vector<std::string> cells;
    for (std::string cell; std::getline(in, cell, '|');) {
        const std::size_t begin = cell.find_first_not_of(' ');
        if (begin != cell.npos) {
            cells.push_back(cell.substr(begin, cell.find_last_not_of(' ') + 1 - begin));
        }
    }
    return cells;
}

}  // namespace

TEST_CASE("The tables of claims have each claim, with its expected result in each stage") {
    for (const char* const page : {"README.md", "docs/results/matrix.md"}) {
        std::vector<std::vector<std::string>> rows;
        for (const std::string& line : lines_of(source_tree / page)) {
            const bool row = line.find("| ✓ ") != line.npos || line.find("| – ") != line.npos;
            if (row) {
                rows.push_back(cells_of(line));
            }
        }
        INFO(page);
        REQUIRE(rows.size() == all_claims().size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const Claim& claim = all_claims()[i];
            REQUIRE(rows[i].size() == last_stage + 1);
            CHECK(rows[i][0] == claim.sentence);
            for (std::size_t stage = 1; stage <= last_stage; ++stage) {
                INFO(claim.name << " in stage " << stage);
                CHECK(rows[i][stage].starts_with(claim.holds_in(stage) ? "✓ " : "– "));
            }
        }
    }
}
