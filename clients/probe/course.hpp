#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "clients/probe/process.hpp"

// The programs of this course, as its clients start them.
namespace unfreeze {

/// The stages of the course are 1 to this one.
constexpr std::size_t last_stage = 10;

/// How long a client waits before it calls a server frozen: about ten thousand times a response
/// time.
constexpr std::chrono::milliseconds frozen_after{1'000};

/// The path of a program of the course, which lies in the same directory as the running one.
std::string program(std::string_view name);

/// A server of the course, with flags that shorten its work and its timeouts, so that a claim takes
/// less time and comes out the same.
struct CourseServer {
    std::string_view name;  // of the program, and of its source directory
    std::string_view flags = {};
};

/// All of them: stage N is at N - 1.
extern const std::array<CourseServer, last_stage> course_servers;

/// Starts a server of the course on a free port. Keeps its standard output.
Command our_server(std::string_view server, std::string_view flags = "");

/// The same. Keeps both of its streams.
Command server_command(std::string_view program_name, std::string_view flags = "");

/// Starts a program with the flags of that stage's server, and further ones.
Command course_command(std::size_t stage, std::string_view program_name,
                       std::string_view flags = "");

}  // namespace unfreeze
