#pragma once

#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "clients/probe/black_box.hpp"

namespace unfreeze {

/// A row of a CSV file: its cells by the names of their columns.
using CsvRow = std::map<std::string, std::string>;

/// Reads a CSV file whose first line names the columns, and removes it.
inline std::vector<CsvRow> take_csv_rows(const std::filesystem::path& csv) {
    const auto cells_of = [](const std::string& line) {
        std::vector<std::string> cells;
        std::istringstream in{line + ","};
        for (std::string cell; std::getline(in, cell, ',');) {
            cells.push_back(cell);
        }
        return cells;
    };
    const std::vector<std::string> lines = lines_of(csv);
    std::filesystem::remove(csv);
    REQUIRE(!lines.empty());
    const std::vector<std::string> names = cells_of(lines.front());
    std::vector<CsvRow> rows;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const std::vector<std::string> cells = cells_of(lines[i]);
        REQUIRE(cells.size() == names.size());
        CsvRow& row = rows.emplace_back();
        for (std::size_t column = 0; column < names.size(); ++column) {
            row[names[column]] = cells[column];
        }
    }
    return rows;
}

}  // namespace unfreeze
