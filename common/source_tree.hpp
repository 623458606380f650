#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/catch.hpp"

// Helpers of tests that read this repository's files.
namespace unfreeze {

inline const std::filesystem::path source_tree{UNFREEZE_SOURCE_DIR};

inline std::string text_of(const std::filesystem::path& file) {
    std::ifstream stream{file};
    INFO(file);
    REQUIRE(stream);
    return {std::istreambuf_iterator<char>{stream}, {}};
}

inline std::vector<std::string> lines_of(const std::filesystem::path& file) {
    std::ifstream stream{file};
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

/// The matching entries of a directory, sorted.
template <typename Matches>
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& directory,
                                              Matches matches) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator{directory}) {
        if (matches(entry.path())) {
            found.push_back(entry.path());
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace unfreeze
