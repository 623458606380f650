#include "clients/probe/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "clients/probe/connection.hpp"
#include "clients/probe/listening.hpp"
#include "common/http/grammar.hpp"

namespace unfreeze {

Descriptor::Descriptor(int number, const char* call) : number_{number} {
    if (number < 0) {
        throw std::system_error{errno, std::generic_category(), call};
    }
}

Descriptor::~Descriptor() {
    if (number_ >= 0) {
        close(number_);
    }
}

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct Pipe {
    Descriptor read_end;
    Descriptor write_end;
};

Pipe make_pipe() {
    std::array<int, 2> ends{-1, -1};
    const int result = pipe2(ends.data(), O_CLOEXEC);
    return {{result < 0 ? result : ends[0], "pipe2"}, {ends[1], "pipe2"}};
}

/// Forks, and runs `child` in the child process. Returns its pid, or throws std::system_error. All
/// forks happen on one thread, which never ends, because PR_SET_PDEATHSIG kills a child when the
/// thread that forked it ends, even if the process lives on.
template <typename Child>
pid_t fork_on_lasting_thread(const Child& child) {
    static asio::thread_pool& lasting = *new asio::thread_pool{1};  // never destroyed
    std::packaged_task<pid_t()> task{[&] {
        sigset_t all;  // other threads handle this program's signals; the child unblocks its own
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        const pid_t pid = fork();
        if (pid == 0) {
            child();
            _exit(127);
        }
        if (pid < 0) {
            throw std::system_error{errno, std::generic_category(), "fork"};
        }
        return pid;
    }};
    return asio::post(lasting, std::move(task)).get();
}

std::uint16_t free_port() {
    asio::io_context io;
    const asio::ip::tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
    return acceptor.local_endpoint().port();
}

/// Replaces each {port} in the command by the same free port. Returns 0 if there is none.
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

/// Prefixes a line that needs no shell with exec, so that its program replaces the shell.
std::string with_exec(const std::string& line) {
    const bool needs_shell = line.find_first_of(";&|<>()$`=\n") != std::string::npos;
    const bool replaces_shell = line.find("exec ") == line.find_first_not_of(' ');
    return needs_shell || replaces_shell ? line : "exec " + line;
}

}  // namespace

Command::Command(const std::string& line) : words{"/bin/sh", "-c", with_exec(line)} {}

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

Process::Process() = default;

/// Delegates to a constructor that completes the object, so that the destructor runs if this one
/// throws.
Process::Process(Command command, std::chrono::milliseconds stop_timeout) : Process{} {
    // Allocated before the fork: in the child, the allocator may stay locked by another thread.
    std::vector<char*> words;
    for (std::string& word : command.words) {
        words.push_back(word.data());
    }
    words.push_back(nullptr);
    const std::string complaint = fmt::format("can't run {}\n", command.words.front());
    Pipe input = make_pipe();
    Pipe output = make_pipe();
    if (command.output == Output::discarded) {
        output.write_end = Descriptor{open("/dev/null", O_WRONLY | O_CLOEXEC), "/dev/null"};
    }
    input_ = std::move(input.write_end);
    output_pipe_ = std::move(output.read_end);
    Pipe errors;
    if (command.output == Output::kept_apart) {
        errors = make_pipe();
        errors_pipe_ = std::move(errors.read_end);
    }
    stop_ = Descriptor{eventfd(0, EFD_CLOEXEC), "eventfd"};
    reader_ = std::jthread{[this] { read_output(); }};
    const pid_t parent = getpid();
    cpu_set_t cores{};
    sched_getaffinity(0, sizeof cores, &cores);
    pid_ = fork_on_lasting_thread([&] {
        setpgid(0, 0);  // a new group, so that a shell and its children end together
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sched_setaffinity(0, sizeof cores,
                          &cores);  // those of the thread that constructs the Process
        // Otherwise the command would inherit the signals that this program ignores or blocks.
        signal(SIGPIPE, SIG_DFL);
        signal(SIGXFSZ, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        dup2(input.read_end.get(), STDIN_FILENO);
        dup2(output.write_end.get(), STDOUT_FILENO);
        if (command.output == Output::kept_with_errors) {
            dup2(STDOUT_FILENO, STDERR_FILENO);
        } else if (command.output == Output::kept_apart) {
            dup2(errors.write_end.get(), STDERR_FILENO);
        }
        // Otherwise this program's connections would stay open in the child.
        closefrom(STDERR_FILENO + 1);
        if (getppid() == parent) {
            execvp(words[0], words.data());
            [[maybe_unused]] const ssize_t written =
                write(STDERR_FILENO, complaint.data(), complaint.size());
        }
    });
    setpgid(pid_, pid_);  // also in the parent: either process may run first
    // The header of glibc 2.36 lacks extern "C" for pidfd_open().
    end_ = Descriptor{static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)), "pidfd_open"};
    stop_timeout_ = stop_timeout;
}

Process::~Process() {
    if (pid_ > 0) {
        kill(-pid_, SIGTERM);
        wait_for_end(stop_timeout_);
        kill(-pid_, SIGKILL);  // the processes of the group that are left
        waitpid(pid_, nullptr, 0);
    }
    // A process that left the group may hold the pipe open; the reader does not wait for it.
    eventfd_write(stop_.get(), 1);
}

/// Leaves the reaping to the destructor, so that the pid is not reused until then.
std::optional<int> Process::exit_status() const {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != pid_) {
        return std::nullopt;
    }
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

bool Process::wait_for_end(std::chrono::milliseconds timeout) const {
    const auto deadline = steady_clock::now() + timeout;
    pollfd end{end_.get(), POLLIN, 0};
    for (auto left = timeout; !ended() && left > 0ms;
         left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now())) {
        poll(&end, 1, static_cast<int>(std::min<std::chrono::milliseconds>(left, 1h).count()));
    }
    return ended();
}

bool Process::wait_for_output(std::string_view text, std::chrono::milliseconds timeout) {
    std::unique_lock lock{mutex_};
    const auto found = [&] { return output_.find(text) != std::string::npos; };
    output_changed_.wait_for(lock, timeout, [&] { return output_ended_ || found(); });
    return found();
}

std::optional<std::string> Process::wait_for_line(std::string_view text,
                                                  std::chrono::milliseconds timeout) {
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
    output_changed_.wait_for(lock, timeout, [&] { return found() || output_ended_; });
    return rest;
}

bool Process::wait_for_end_of_output(std::chrono::milliseconds timeout) {
    std::unique_lock lock{mutex_};
    return output_changed_.wait_for(lock, timeout, [&] { return output_ended_; });
}

std::string Process::output() const {
    const std::lock_guard lock{mutex_};
    return output_;
}

std::string Process::errors() const {
    std::string text;
    for (const OutputPiece& piece : pieces()) {
        text += piece.error ? piece.text : "";
    }
    return text;
}

std::vector<OutputPiece> Process::pieces() const {
    const std::lock_guard lock{mutex_};
    return pieces_;
}

std::string Process::wait_for_more(std::size_t seen, std::chrono::milliseconds timeout) {
    std::unique_lock lock{mutex_};
    output_changed_.wait_for(lock, timeout, [&] { return output_.size() > seen || output_ended_; });
    return output_.substr(std::min(seen, output_.size()));
}

/// Reads until the output ends, or `stop_` is readable.
void Process::read_output() {
    const bool apart = errors_pipe_.get() >= 0;
    std::array<pollfd, 3> ends{{{output_pipe_.get(), POLLIN, 0},
                                {errors_pipe_.get(), POLLIN, 0},  // poll ignores a negative one
                                {stop_.get(), POLLIN, 0}}};
    std::array<char, 4096> buffer;
    const auto read_from = [&](pollfd& end, bool error) {
        const ssize_t result = read(end.fd, buffer.data(), buffer.size());
        const auto bytes = static_cast<std::size_t>(std::max<ssize_t>(result, 0));
        const std::lock_guard lock{mutex_};
        if (!error) {
            output_.append(buffer.data(), bytes);
        }
        if (apart && bytes > 0) {
            pieces_.push_back({steady_clock::now(), error, {buffer.data(), bytes}});
        }
        end.fd = bytes == 0 ? -1 : end.fd;
        output_changed_.notify_all();
    };
    bool stopped = false;
    while (!stopped && (ends[0].fd >= 0 || ends[1].fd >= 0)) {
        if (poll(ends.data(), ends.size(), -1) < 0) {
            continue;
        }
        const bool output = ends[0].fd >= 0 && ends[0].revents != 0;
        const bool errors = ends[1].fd >= 0 && ends[1].revents != 0;
        if (output) {
            read_from(ends[0], false);
        }
        if (errors) {
            read_from(ends[1], true);
        }
        stopped = !output && !errors;
    }
    const std::lock_guard lock{mutex_};
    output_ended_ = true;
    output_changed_.notify_all();
}

namespace {

/// The last line that the command printed, on standard error if it printed any there, as the end of
/// a sentence; empty if it printed none.
std::string last_line_of(const Process& process) {
    std::string text = process.errors().empty() ? process.output() : process.errors();
    text.resize(text.find_last_not_of("\r\n ") + 1);
    const std::string line = text.substr(text.rfind('\n') + 1);
    return line.empty() ? "" : fmt::format("; it printed '{}'", line);
}

}  // namespace

ServerProcess::ServerProcess(Command command, std::chrono::milliseconds timeout)
    : target_{.port = fill_in_port(command)}, process_{std::move(command)} {
    if (target_.port == 0) {
        wait_for_announcement(timeout);
    } else {
        wait_for_connect(timeout);
    }
    target_.process = &process_;
}

void ServerProcess::wait_for_announcement(std::chrono::milliseconds timeout) {
    const auto announced = process_.wait_for_line("listening on ", timeout);
    if (!announced) {
        // The output of a process ends shortly before the process does.
        throw std::runtime_error{process_.wait_for_end(100ms)
                                     ? "it ended before it listened"
                                     : "it never printed 'listening on HOST:PORT', and its "
                                       "command contains no {port}"};
    }
    const std::optional<Target> target = parse_target(*announced);
    if (!target) {
        throw std::runtime_error{
            fmt::format("it printed 'listening on {}', which is not HOST:PORT", *announced)};
    }
    target_ = *target;
}

void ServerProcess::wait_for_connect(std::chrono::milliseconds timeout) {
    const auto deadline = steady_clock::now() + timeout;
    while (!Connection{target_}.connected()) {
        if (process_.ended()) {
            static_cast<void>(process_.wait_for_end_of_output(100ms));
            throw std::runtime_error{
                fmt::format("it ended with exit status {} before it accepted a connection{}",
                            *process_.exit_status(), last_line_of(process_))};
        }
        if (steady_clock::now() > deadline) {
            std::string elsewhere;
            for (const ListeningSocket& socket : listening_sockets(process_.pid())) {
                elsewhere += fmt::format("{}{}:{}", elsewhere.empty() ? "" : " and ",
                                         socket.address, socket.port);
            }
            throw std::runtime_error{
                elsewhere.empty()
                    ? fmt::format("it accepts no connection on {} within {} s{}", target_.name(),
                                  std::chrono::duration<double>{timeout}.count(),
                                  last_line_of(process_))
                    : fmt::format("it listens on {}, but its {{port}} is {} on 127.0.0.1{}",
                                  elsewhere, target_.port, last_line_of(process_))};
        }
        std::this_thread::sleep_for(20ms);  // a connect can only be polled
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
    std::getline(stat, field, ')');  // the name may contain spaces; field 3 follows it
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
