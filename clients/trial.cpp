#include "clients/trial.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace unfreeze {

bool Trial::as_taught(std::size_t stage) const {
    return finding.holds == claim->holds_in(stage) && ended == claim->traits.ends_the_server;
}

Trial try_claim(const Claim& claim, const Command& command) {
    ServerProcess server{command};
    Finding finding = claim.experiment(server.target());
    return {&claim, std::move(finding), server.process().ended()};
}

std::string program(std::string_view name) {
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / name).string();
}

const std::array<CourseServer, last_stage> course_servers{{
    {"stage01_blocking", ""},
    {"stage02_async", ""},
    {"stage03_validation", "--head-ms 500"},
    {"stage04_state", "--head-ms 500 --work-ms 50"},
    {"stage05_backpressure", "--head-ms 500 --work-ms 50"},
    {"stage06_workers", "--head-ms 500 --work-ms 50"},
    {"stage07_contention", "--head-ms 500 --work-ms 60 --hold-ms 15"},
    {"stage08_sharding", "--head-ms 500 --work-ms 60 --hold-ms 15"},
    {"stage09_metrics", "--head-ms 500 --work-ms 60 --hold-ms 15"},
    {"stage10_shutdown", "--head-ms 500 --work-ms 60 --hold-ms 15"},
}};

Command server_command(std::string_view program_name, std::string_view flags) {
    return Command{program(program_name), fmt::format("--port 0 {}", flags)}.with(
        Output::kept_with_errors);
}

Command course_command(std::size_t stage, std::string_view program_name, std::string_view flags) {
    return server_command(program_name,
                          fmt::format("{} {}", course_servers.at(stage - 1).flags, flags));
}

}  // namespace unfreeze
