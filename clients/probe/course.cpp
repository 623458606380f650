#include "clients/probe/course.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace unfreeze {

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

Command our_server(std::string_view server, std::string_view flags) {
    return {program(server), fmt::format("--port 0 {}", flags)};
}

Command server_command(std::string_view program_name, std::string_view flags) {
    return our_server(program_name, flags).with(Output::kept_with_errors);
}

Command course_command(std::size_t stage, std::string_view program_name, std::string_view flags) {
    return server_command(program_name,
                          fmt::format("{} {}", course_servers.at(stage - 1).flags, flags));
}

}  // namespace unfreeze
