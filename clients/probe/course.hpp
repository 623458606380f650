#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "clients/probe/process.hpp"

// The programs of this course, as its clients start them.
namespace unfreeze {

/// The course has stages 1 to last_stage.
constexpr std::size_t last_stage = 10;

/// A client that has waited this long calls a server frozen. A response normally takes a
/// ten-thousandth of it.
constexpr std::chrono::milliseconds frozen_after{1'000};

/// The path of a program of the course, which is in the same directory as the running one.
[[nodiscard]] std::string program(std::string_view name);

/// A server of the course, with flags that shorten its work and its timeouts, so that testing a
/// claim takes less time and gives the same result.
struct CourseServer {
    std::string_view name;  // of the program, and of its source directory
    std::string_view flags = {};
};

/// All servers: stage N is at N - 1.
extern const std::array<CourseServer, last_stage> course_servers;

/// Starts a server of the course on a free port, and keeps its standard output.
[[nodiscard]] Command our_server(std::string_view server, std::string_view flags = "");

/// Does the same, and also keeps its standard error.
[[nodiscard]] Command server_command(std::string_view program_name, std::string_view flags = "");

/// Starts a program as server_command() does, with the flags of a stage's server before `flags`.
[[nodiscard]] Command course_command(std::size_t stage, std::string_view program_name,
                                     std::string_view flags = "");

}  // namespace unfreeze
