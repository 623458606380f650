#include "clients/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "clients/connection.hpp"
#include "common/grammar.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct Pipe {
    int read_end = -1;
    int write_end = -1;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::system_error{errno, std::generic_category(), "pipe2"};
    }
    return {ends[0], ends[1]};
}

std::uint16_t free_port() {
    asio::io_context io;
    const asio::ip::tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
    return acceptor.local_endpoint().port();
}

/// Replaces every {port} in the command by the same free port; 0 if there is none.
std::uint16_t fill_in_port(Command& command) {
    constexpr std::string_view placeholder = "{port}";
    const auto find = [&](const std::string& word) { return word.find(placeholder); };
    std::uint16_t port = 0;
    for (std::string& word : command.words) {
        for (std::size_t at = find(word); at != word.npos; at = find(word)) {
            port = port == 0 ? free_port() : port;
            word.replace(at, placeholder.size(), std::to_string(port));
        }
    }
    return port;
}

/// A line that needs no shell takes the shell's place, and with it its pid and its fate.
std::string in_place_of_the_shell(const std::string& line) {
    const bool needs_shell = line.find_first_of(";&|<>()$`=\n") != std::string::npos;
    const bool replaces_shell = line.find("exec ") == line.find_first_not_of(' ');
    return needs_shell || replaces_shell ? line : "exec " + line;
}

}  // namespace

Command::Command(const std::string& line) : words{"/bin/sh", "-c", in_place_of_the_shell(line)} {}

Command::Command(std::string_view program, std::string_view arguments,
                 const std::vector<std::string>& more)
    : words{std::string{program}} {
    std::istringstream separated{std::string{arguments}};
    words.insert(words.end(), std::istream_iterator<std::string>{separated}, {});
    words.insert(words.end(), more.begin(), more.end());
}

Command Command::run_by(const std::vector<std::string>& words_before) const {
    Command command = *this;
    command.words.insert(command.words.begin(), words_before.begin(), words_before.end());
    return command;
}

Command Command::with(Output wanted) const {
    Command command = *this;
    command.output = wanted;
    return command;
}

Process::Process(Command command, std::chrono::milliseconds stop_patience)
    : stop_patience_{stop_patience} {
    // Made before the fork: after it, another thread may hold the lock of the allocator.
    std::vector<char*> words;
    for (std::string& word : command.words) {
        words.push_back(word.data());
    }
    words.push_back(nullptr);
    const std::string complaint = fmt::format("can't run {}\n", command.words.front());
    const Pipe input = make_pipe();
    const Pipe output = make_pipe();
    const Pipe stop = make_pipe();
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
        setpgid(0, 0);  // a group of its own: a shell and what it starts end together
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(input.read_end, STDIN_FILENO);
        dup2(command.output == Output::discarded ? open("/dev/null", O_WRONLY) : output.write_end,
             STDOUT_FILENO);
        if (command.output == Output::kept_with_errors) {
            dup2(STDOUT_FILENO, STDERR_FILENO);
        }
        // Not what this process has open just now: its connections would stay open there.
        closefrom(STDERR_FILENO + 1);
        if (getppid() == parent) {
            execvp(words[0], words.data());
            [[maybe_unused]] const ssize_t written =
                write(STDERR_FILENO, complaint.data(), complaint.size());
        }
        _exit(127);
    }
    const int error = errno;
    close(input.read_end);
    close(output.write_end);
    input_fd_ = input.write_end;
    output_fd_ = output.read_end;
    if (pid_ < 0) {
        close(input_fd_);
        close(output_fd_);
        close(stop.read_end);
        close(stop.write_end);
        throw std::system_error{error, std::generic_category(), "fork"};
    }
    setpgid(pid_, pid_);  // here too: the group exists, whichever of the two runs first
    stop_fd_ = stop.write_end;
    reader_ = std::thread{[this, stop] { read_output(stop.read_end); }};
}

Process::~Process() {
    kill(-pid_, SIGTERM);
    wait_for_end(stop_patience_);
    kill(-pid_, SIGKILL);  // whatever is left of the group
    waitpid(pid_, nullptr, 0);
    // What has left the group may still hold the pipe open; the reader does not wait for it.
    close(stop_fd_);
    reader_.join();
    close(input_fd_);
    close(output_fd_);
}

bool Process::ended() const { return exit_status().has_value(); }

/// Leaves the child to be reaped by the destructor, so that its pid stays ours until then.
std::optional<int> Process::exit_status() const {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != pid_) {
        return std::nullopt;
    }
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

bool Process::wait_for_end(std::chrono::milliseconds patience) const {
    const auto deadline = steady_clock::now() + patience;
    while (!ended() && steady_clock::now() < deadline) {
        std::this_thread::sleep_for(1ms);  // the end of a child can't be waited for with a bound
    }
    return ended();
}

bool Process::wait_for_output(std::string_view text, std::chrono::milliseconds patience) {
    std::unique_lock lock{mutex_};
    const auto found = [&] { return output_.find(text) != std::string::npos; };
    output_changed_.wait_for(lock, patience, [&] { return output_ended_ || found(); });
    return found();
}

std::optional<std::string> Process::wait_for_line(std::string_view text,
                                                  std::chrono::milliseconds patience) {
    std::unique_lock lock{mutex_};
    std::optional<std::string> rest;
    const auto found = [&] {
        const std::size_t at = output_.find(text);
        const std::size_t line_end = at == std::string::npos ? at : output_.find('\n', at);
        if (line_end != std::string::npos) {
            rest = output_.substr(at + text.size(), line_end - at - text.size());
        }
        return rest.has_value();
    };
    output_changed_.wait_for(lock, patience, [&] { return found() || output_ended_; });
    return rest;
}

std::string Process::output() const {
    const std::lock_guard lock{mutex_};
    return output_;
}

std::string Process::wait_for_more(std::size_t seen, std::chrono::milliseconds patience) {
    std::unique_lock lock{mutex_};
    output_changed_.wait_for(lock, patience,
                             [&] { return output_.size() > seen || output_ended_; });
    return output_.substr(std::min(seen, output_.size()));
}

/// Until the output ends, or the other end of `stopped_fd` is closed.
void Process::read_output(int stopped_fd) {
    std::array<pollfd, 2> ends{{{output_fd_, POLLIN, 0}, {stopped_fd, POLLIN, 0}}};
    std::array<char, 4096> buffer;
    std::size_t bytes = 0;
    do {
        const bool readable = poll(ends.data(), ends.size(), -1) > 0 && ends[0].revents != 0;
        const ssize_t result = readable ? read(output_fd_, buffer.data(), buffer.size()) : 0;
        bytes = static_cast<std::size_t>(std::max<ssize_t>(result, 0));
        const std::lock_guard lock{mutex_};
        output_.append(buffer.data(), bytes);
        output_ended_ = bytes == 0;
        output_changed_.notify_all();
    } while (bytes > 0);
    close(stopped_fd);
}

ServerProcess::ServerProcess(Command command, std::chrono::milliseconds patience)
    : target_{.port = fill_in_port(command)}, process_{std::move(command)} {
    if (target_.port == 0) {
        wait_for_announcement(patience);
    } else {
        wait_for_connect(patience);
    }
    target_.process = &process_;
}

void ServerProcess::wait_for_announcement(std::chrono::milliseconds patience) {
    const auto announced = process_.wait_for_line("listening on ", patience);
    if (!announced) {
        // The output of a process that ends is at its end a moment before the process is.
        throw std::runtime_error{process_.wait_for_end(100ms)
                                     ? "it ended before it listened"
                                     : "it never said 'listening on HOST:PORT', and its command "
                                       "has no {port} to fill in"};
    }
    const std::optional<Target> target = parse_target(*announced);
    if (!target) {
        throw std::runtime_error{
            fmt::format("it says 'listening on {}', which is not HOST:PORT", *announced)};
    }
    target_ = *target;
}

void ServerProcess::wait_for_connect(std::chrono::milliseconds patience) {
    const auto deadline = steady_clock::now() + patience;
    while (!Connection{target_}.connected()) {
        if (process_.ended()) {
            throw std::runtime_error{"it ended before it accepted a connection"};
        }
        if (steady_clock::now() > deadline) {
            throw std::runtime_error{
                fmt::format("nobody accepts connections on port {}", target_.port)};
        }
        std::this_thread::sleep_for(20ms);  // between two tries: there is nothing to wait on
    }
}

long status_number(pid_t pid, const std::string& name) {
    std::ifstream status{fmt::format("/proc/{}/status", pid)};
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(name + ":")) {
            return std::stol(line.substr(name.size() + 1));
        }
    }
    return 0;
}

std::chrono::milliseconds processor_time(pid_t pid) {
    std::ifstream stat{fmt::format("/proc/{}/stat", pid)};
    std::string field;
    std::getline(stat, field, ')');  // the name may hold spaces; the third field follows it
    for (int number = 3; number < 14; ++number) {
        stat >> field;
    }
    long user_ticks = 0;
    long system_ticks = 0;
    stat >> user_ticks >> system_ticks;
    return std::chrono::milliseconds{(user_ticks + system_ticks) * 1000 / sysconf(_SC_CLK_TCK)};
}

std::ptrdiff_t descriptors(pid_t pid) {
    std::error_code gone;
    const std::filesystem::directory_iterator entries{fmt::format("/proc/{}/fd", pid), gone};
    return std::distance(begin(entries), end(entries));
}

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

}  // namespace unfreeze
