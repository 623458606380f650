#include <algorithm>
#include <sstream>

#include "clients/claims/claims.hpp"
#include "common/source_tree.hpp"

using namespace unfreeze;

namespace {

/// The lines of a page that are rows about a claim.
std::vector<std::string> rows_of(const std::filesystem::path& page) {
    std::vector<std::string> rows;
    for (const std::string& line : lines_of(source_tree / page)) {
        if (line.starts_with("| ") &&
            (line.find("| ✓ ") != line.npos || line.find("| – ") != line.npos)) {
            rows.push_back(line);
        }
    }
    return rows;
}

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

TEST_CASE("The table of results has each claim, with its expected result in each stage") {
    const std::vector<std::string> rows = rows_of("docs/results/matrix.md");
    REQUIRE(rows.size() == all_claims().size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Claim& claim = all_claims()[i];
        const std::vector<std::string> cells = cells_of(rows[i]);
        REQUIRE(cells.size() == last_stage + 1);
        CHECK(cells[0] == claim.sentence);
        for (std::size_t stage = 1; stage <= last_stage; ++stage) {
            INFO(claim.name << " in stage " << stage);
            CHECK(cells[stage].starts_with(claim.holds_in(stage) ? "✓ " : "– "));
        }
    }
}

TEST_CASE("The page of claims shows the table of results") {
    CHECK(rows_of("docs/claims.md") == rows_of("docs/results/matrix.md"));
}

TEST_CASE("The README shows for each stage a row of a claim that begins or ends there") {
    const std::vector<std::string> rows = rows_of("README.md");
    const std::vector<std::string> results = rows_of("docs/results/matrix.md");
    REQUIRE(rows.size() == last_stage);
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        INFO(rows[stage - 1]);
        const auto result = std::find(results.begin(), results.end(), rows[stage - 1]);
        REQUIRE(result != results.end());
        const Claim& claim = all_claims()[static_cast<std::size_t>(result - results.begin())];
        CHECK((claim.first_stage == stage || claim.last_stage + 1 == stage));
    }
}
