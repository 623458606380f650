#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "common/log.hpp"

namespace unfreeze {

/// Opens a file for the rows of what is measured. Where it can't be written to, the program fails.
inline std::FILE* open_csv(const std::string& name) {
    std::FILE* const csv = std::fopen(name.c_str(), "w");
    if (csv == nullptr) {
        fail(fmt::format("can't write to {}", name));
    }
    return csv;
}

}  // namespace unfreeze
