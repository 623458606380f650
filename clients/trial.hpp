#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "clients/claims.hpp"
#include "clients/process.hpp"

namespace unfreeze {

/// What came out of a claim for a server that was started for it alone.
struct Trial {
    const Claim* claim = nullptr;
    Finding finding;
    bool ended = false;  // the server has, during the experiment

    /// Whether it came out as it has to in this stage, and the server lives if it should.
    bool as_taught(std::size_t stage) const;

    /// The server has ended, and should not have.
    bool died() const { return ended && !claim->traits.ends_the_server; }
};

/// Starts the server and puts it to the claim. Throws std::runtime_error where it does not start.
Trial try_claim(const Claim& claim, const Command& command);

/// The path of a program of ours: it lies beside the one that runs.
std::string program(std::string_view name);

/// A server of this course, with flags that make its work short and its patience, too: what a claim
/// says of it is the same, and comes sooner.
struct CourseServer {
    std::string_view name;  // of the program, and of the directory that it is from
    std::string_view flags = {};
};

/// All of them: stage N is at N - 1.
extern const std::array<CourseServer, last_stage> course_servers;

/// Starts one of our servers on a free port. Both of its streams are kept.
Command server_command(std::string_view program_name, std::string_view flags = "");

/// Starts a program as that stage's server is started, with further flags.
Command course_command(std::size_t stage, std::string_view program_name,
                       std::string_view flags = "");

}  // namespace unfreeze
