#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "clients/probe/target.hpp"

namespace unfreeze {

/// Whether this program, and so the servers that lie beside it, runs under a sanitizer, which keeps
/// much memory for itself.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// Owns a file descriptor.
class Descriptor {
public:
    Descriptor() = default;

    /// What a system call returned. Throws std::system_error where that is less than 0.
    Descriptor(int number, const char* call);

    Descriptor(Descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~Descriptor();

    int get() const { return number_; }

private:
    int number_ = -1;
};

/// Where a command's standard output goes, and whether its standard error joins it. Otherwise
/// standard error goes where ours goes.
enum class Output { kept, kept_with_errors, discarded };

/// What to run: a program and its arguments, which reach it unchanged, whatever they hold; or a
/// line that a user typed, which a shell reads.
struct Command {
    /// A line for /bin/sh. If it needs no shell, its program takes the shell's place and its pid.
    Command(const std::string& line);
    Command(const char* line) : Command{std::string{line}} {}

    /// A program, by its path or by its name in PATH. Spaces separate `arguments`; each of `more`
    /// is one argument.
    Command(std::string_view program, std::string_view arguments,
            const std::vector<std::string>& more = {});

    /// The same command, started by another program, such as {"prlimit", "--nofile=16"}.
    Command run_by(const std::vector<std::string>& words_before) const;

    Command with(Output wanted) const;

    std::vector<std::string> words;  // the program is the first
    Output output = Output::kept;
};

/// A command that runs as long as this object lives, and not longer. If the program that started it
/// is killed, the first process of the command ends with it: the program, or the shell of a line
/// that needs one.
/// What it prints on standard output is kept for those who wait for it; its standard input stays
/// open and empty.
class Process {
public:
    explicit Process(Command command,
                     std::chrono::milliseconds stop_patience = std::chrono::seconds{5});

    /// SIGTERM to all that the command started, and SIGKILL to what is left of it once its first
    /// process has ended or stop_patience has.
    ~Process();

    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    /// The program's, or the shell's if the command is a line that needs one.
    pid_t pid() const { return pid_; }

    bool ended() const { return exit_status().has_value(); }
    bool wait_for_end(std::chrono::milliseconds patience) const;

    /// Nothing as long as it runs, 128 and the signal's number where one has ended it.
    std::optional<int> exit_status() const;

    /// Waits until `text` stands in the output; false where it does not within `patience`.
    bool wait_for_output(std::string_view text,
                         std::chrono::milliseconds patience = std::chrono::seconds{5});

    /// Waits for a whole line with `text` in it, and gives what follows `text` there.
    std::optional<std::string> wait_for_line(std::string_view text,
                                             std::chrono::milliseconds patience);

    /// Waits until nothing can follow what the output has; false where it does not within
    /// `patience`.
    bool wait_for_end_of_output(std::chrono::milliseconds patience);

    std::string output() const;

    /// What the output has beyond its first `seen` bytes, as soon as there is any; empty where none
    /// comes within `patience`, or the output has ended.
    std::string wait_for_more(std::size_t seen, std::chrono::milliseconds patience);

private:
    Process();

    void read_output();

    std::chrono::milliseconds stop_patience_{0};
    pid_t pid_ = -1;
    Descriptor end_;            // readable once the process has ended
    Descriptor input_;          // the end of the pipe that we would write to
    Descriptor output_pipe_;    // the end of the pipe that we read from
    Descriptor stop_;           // readable once reader_ is to end
    mutable std::mutex mutex_;  // guards the two below
    std::string output_;
    bool output_ended_ = false;
    std::condition_variable output_changed_;
    std::jthread reader_;  // empties the pipe, so that a talkative command never waits for us
};

/// A server under test, as a process. A free port replaces every {port} in the command and is tried
/// until it accepts; without a {port} the command must print "listening on HOST:PORT", as every
/// server of this house does. Throws std::runtime_error where the command ends or `patience` does
/// before the server listens.
class ServerProcess {
public:
    explicit ServerProcess(Command command,
                           std::chrono::milliseconds patience = std::chrono::seconds{20});

    const Target& target() const { return target_; }
    Process& process() { return process_; }

private:
    void wait_for_announcement(std::chrono::milliseconds patience);
    void wait_for_connect(std::chrono::milliseconds patience);

    Target target_;
    Process process_;
};

/// A number from the status of a process or of one thread, /proc/PID/status, such as VmRSS (in KiB)
/// or Threads.
long status_number(pid_t pid, const std::string& name);

/// Processor time that a process has used so far, its own and the kernel's on its behalf.
std::chrono::milliseconds processor_time(pid_t pid);

/// How many descriptors a process has open.
std::ptrdiff_t descriptors(pid_t pid);

/// Lets this process, and those that it starts, have as many descriptors as the machine allows, and
/// tells how many that is.
std::size_t raise_descriptor_limit();

}  // namespace unfreeze
