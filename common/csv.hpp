#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "common/log.hpp"

// What a tool has measured or found is worth nothing if it is lost on its way to a file. So where
// not all of it can be written, the program fails.
namespace unfreeze {

[[noreturn]] inline void fail_to_write(const std::string& name) {
    fail(fmt::format("can't write to {}", name));
}

/// Opens a file for the rows of what is measured, or for other results.
inline std::FILE* open_csv(const std::string& name) {
    std::FILE* const csv = std::fopen(name.c_str(), "w");
    if (csv == nullptr) {
        fail_to_write(name);
    }
    return csv;
}

/// Closes it, once all is written.
inline void close_csv(std::FILE* csv, const std::string& name) {
    const bool failed_before = std::ferror(csv) != 0;
    if (std::fclose(csv) != 0 || failed_before) {
        fail_to_write(name);
    }
}

/// Checks that all that the program has printed is written. Each tool calls it last: its exit
/// status speaks of results that somebody has.
inline void finish_output() {
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        fail_to_write("standard output");
    }
}

}  // namespace unfreeze
