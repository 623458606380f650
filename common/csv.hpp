#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "common/log.hpp"

// Output of the tools: if a part of it can't be written, the program fails.
namespace unfreeze {

[[noreturn]] inline void fail_to_write(const std::string& name) {
    fail(fmt::format("can't write to {}", name));
}

/// Opens a file for measured rows or other results.
inline std::FILE* open_csv(const std::string& name) {
    std::FILE* const csv = std::fopen(name.c_str(), "w");
    if (csv == nullptr) {
        fail_to_write(name);
    }
    return csv;
}

/// Writes what is buffered, and closes the file.
inline void close_csv(std::FILE* csv, const std::string& name) {
    const bool failed_before = std::ferror(csv) != 0;
    if (std::fclose(csv) != 0 || failed_before) {
        fail_to_write(name);
    }
}

/// Writes what the program has printed and is still buffered. Each tool calls it last, so that its
/// exit status is 0 only if its results have been written.
inline void finish_output() {
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        fail_to_write("standard output");
    }
}

}  // namespace unfreeze
