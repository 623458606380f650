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

/// Whether this program, and so each server in its directory, was built with a sanitizer.
/// Sanitizers use much memory themselves.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// Owns a file descriptor.
class Descriptor {
public:
    Descriptor() = default;

    /// Takes the result of a system call. Throws std::system_error if it is negative.
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

/// Whether to keep a command's standard output, also with its standard error or apart from it, or
/// to discard it. Standard error that is not kept is inherited.
enum class Output { kept, kept_with_errors, kept_apart, discarded };

/// What a command printed at one time.
struct OutputPiece {
    std::chrono::steady_clock::time_point time;
    bool error = false;  // on standard error
    std::string text;
};

/// A command to run: either a program and its arguments, which it receives unchanged, or a line
/// that a user typed, which a shell interprets.
struct Command {
    /// A line for /bin/sh. If it needs no shell, its program replaces the shell and keeps the pid.
    Command(const std::string& line);
    Command(const char* line) : Command{std::string{line}} {}

    /// A program, by its path or its name in PATH. Spaces separate `arguments`; each element of
    /// `more` is one argument.
    Command(std::string_view program, std::string_view arguments,
            const std::vector<std::string>& more = {});

    /// The same command, started by another program, such as {"prlimit", "--nofile=16"}.
    [[nodiscard]] Command run_by(const std::vector<std::string>& words_before) const;

    [[nodiscard]] Command with(Output wanted) const;

    std::vector<std::string> words;  // the program is the first
    Output output = Output::kept;
};

/// A command that runs while this object lives. If the program that started it is killed, the first
/// process of the command is also killed: the program, or the shell of a line that needs one. Its
/// standard output is kept; its standard input stays open and empty.
class Process {
public:
    explicit Process(Command command,
                     std::chrono::milliseconds stop_timeout = std::chrono::seconds{5});

    /// Sends SIGTERM to the command's process group. Once the first process has ended, or after
    /// stop_timeout, sends SIGKILL to the processes that are left.
    ~Process();

    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    /// The pid of the program, or of the shell if the command is a line that needs one.
    pid_t pid() const { return pid_; }

    [[nodiscard]] bool ended() const { return exit_status().has_value(); }
    bool wait_for_end(std::chrono::milliseconds timeout) const;

    /// Nothing while it runs; 128 plus the signal's number if a signal ended it.
    [[nodiscard]] std::optional<int> exit_status() const;

    /// Waits until the output contains `text`. Returns false if it ends first or time runs out.
    bool wait_for_output(std::string_view text,
                         std::chrono::milliseconds timeout = std::chrono::seconds{5});

    /// Waits for a complete line that contains `text`, and returns the rest of the line after it.
    [[nodiscard]] std::optional<std::string> wait_for_line(std::string_view text,
                                                           std::chrono::milliseconds timeout);

    /// Waits until no process can write to the output any more. Returns false on timeout.
    [[nodiscard]] bool wait_for_end_of_output(std::chrono::milliseconds timeout);

    [[nodiscard]] std::string output() const;

    /// Standard error, and both streams with their times, if the output is kept apart.
    [[nodiscard]] std::string errors() const;
    [[nodiscard]] std::vector<OutputPiece> pieces() const;

    /// Waits until the output has more than `seen` bytes, and returns the bytes after these.
    /// Returns an empty string if the output has ended or time runs out.
    [[nodiscard]] std::string wait_for_more(std::size_t seen, std::chrono::milliseconds timeout);

private:
    Process();

    void read_output();

    std::chrono::milliseconds stop_timeout_{0};
    pid_t pid_ = -1;
    Descriptor end_;            // readable once the process has ended
    Descriptor input_;          // the write end of its standard input
    Descriptor output_pipe_;    // the read end of its standard output
    Descriptor errors_pipe_;    // that of its standard error, if it is kept apart
    Descriptor stop_;           // readable once reader_ must end
    mutable std::mutex mutex_;  // guards the next three
    std::string output_;
    std::vector<OutputPiece> pieces_;
    bool output_ended_ = false;
    std::condition_variable output_changed_;
    std::jthread reader_;  // empties the pipe, so that the command never blocks on a full one
};

/// The process of a server under test. If the command contains {port}, a free port replaces each
/// one, and the constructor waits until the server accepts on that port. Without {port}, it waits
/// until the command prints "listening on HOST:PORT", as each server of the course does. Throws
/// std::runtime_error if the command exits first, or time runs out; the error says where the
/// command listens instead, if it does.
class ServerProcess {
public:
    explicit ServerProcess(Command command, std::chrono::milliseconds timeout = start_timeout);

    static constexpr std::chrono::seconds start_timeout{20};

    const Target& target() const { return target_; }
    Process& process() { return process_; }

private:
    void wait_for_announcement(std::chrono::milliseconds timeout);
    void wait_for_connect(std::chrono::milliseconds timeout);

    Target target_;
    Process process_;
};

/// A number from /proc/PID/status, of a process or a thread, such as VmRSS (in KiB) or Threads.
[[nodiscard]] long status_number(pid_t pid, const std::string& name);

/// The processor time that a process has used so far, in user mode and in the kernel.
[[nodiscard]] std::chrono::milliseconds processor_time(pid_t pid);

/// The number of descriptors that a process has open.
[[nodiscard]] std::ptrdiff_t descriptors(pid_t pid);

/// Raises the descriptor limit of this process, and so of those that it starts, to the hard limit.
/// Returns that limit.
std::size_t raise_descriptor_limit();

}  // namespace unfreeze
