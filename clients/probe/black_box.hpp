#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <future>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/process.hpp"
#include "common/catch.hpp"
#include "common/source_tree.hpp"

// For tests that run a program as its users do.
namespace unfreeze {

/// Quotes a word for a shell.
inline std::string shell_word(std::string_view word) {
    std::string text = "'";
    for (const char c : word) {
        text += c == '\'' ? "'\\''" : std::string{c};
    }
    return text + "'";
}

/// "202 BODY", without the newline at the end of a JSON body.
inline std::string status_and_body(const ReceivedResponse& response) {
    const bool ends_line = response.body.ends_with('\n');
    return fmt::format("{} {}", response.status,
                       response.body.substr(0, response.body.size() - (ends_line ? 1 : 0)));
}

/// Waits until a command exits. Returns its output, followed by a line "exit N".
inline std::string output_with_exit_status(Process& process, std::chrono::seconds timeout) {
    CHECK(process.wait_for_end_of_output(timeout));
    CHECK(process.wait_for_end(
        std::chrono::seconds{5}));  // the process ends shortly after its output
    return fmt::format("{}exit {}\n", process.output(), process.exit_status().value_or(-1));
}

/// Runs a command. Returns both output streams, followed by a line "exit N".
inline std::string output_of(const Command& command,
                             std::chrono::seconds timeout = std::chrono::seconds{30}) {
    Process process{command.with(Output::kept_with_errors)};
    return output_with_exit_status(process, timeout);
}

/// Checks that a server started with wrong flags prints one sentence and exits with 2.
inline void check_start_errors(std::string_view name) {
    ServerProcess first{server_command(name)};
    const std::string in_use =
        output_of({program(name), fmt::format("--port {}", first.target().port)});
    CHECK(in_use == fmt::format("{}: 127.0.0.1:{} is in use: end the server that has it, or choose "
                                "another --port\nexit 2\n",
                                name, first.target().port));
    const auto check_sentence = [&](std::string_view flags, std::string_view sentence) {
        CHECK(output_of({program(name), flags}) ==
              fmt::format("{}: {} (see --help)\nexit 2\n", name, sentence));
    };
    check_sentence("--prot", "unknown flag '--prot'");
    check_sentence("--prot=1", "unknown flag '--prot'");
    check_sentence("1", "unexpected argument '1'");
    check_sentence("--port", "--port: expected a value");
    check_sentence("--port 1 --port 2", "--port: expected one value, got 2");
    for (const char* const port : {"65536", "-1", "+1", "010", "0x50", "80.0", "http"}) {
        check_sentence(
            fmt::format("--port {}", port),
            fmt::format("--port: expected a whole number from 0 to 65535, got '{}'", port));
    }
    check_sentence("--host 127.1", "--host: expected an address, got '127.1'");
    CHECK(output_of({program(name), "--host 192.0.2.1 --port 0"}) ==
          fmt::format("{}: can't listen on 192.0.2.1:0: Cannot assign requested address\nexit 2\n",
                      name));
    CHECK(output_of({program(name), "--help"}).ends_with("\nexit 0\n"));
}

}  // namespace unfreeze
