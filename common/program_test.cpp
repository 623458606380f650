#include "common/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <list>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "clients/probe/black_box.hpp"
#include "clients/probe/connection.hpp"

// Every server's behaviour without output, descriptors, memory or threads.
using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

/// A temporary directory with a named pipe that this object reads.
class Fifo {
public:
    Fifo() {
        REQUIRE(mkdtemp(folder_.data()) != nullptr);
        REQUIRE(mkfifo(path().c_str(), 0600) == 0);
        reader_ = open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        REQUIRE(reader_ >= 0);
    }

    ~Fifo() {
        leave();
        std::filesystem::remove_all(folder_);
    }

    Fifo(const Fifo&) = delete;
    Fifo& operator=(const Fifo&) = delete;

    std::string path() const { return in_folder("fifo"); }
    std::string in_folder(std::string_view name) const {
        return fmt::format("{}/{}", folder_, name);
    }

    /// Fills the pipe, so that every later write blocks.
    void fill() {
        const int writer = open(path().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        while (write(writer, "x", 1) == 1) {
        }
        close(writer);
    }

    /// Whether the text arrives within 10 s.
    bool reads(std::string_view text) {
        const auto deadline = steady_clock::now() + 10s;
        std::array<char, 4096> buffer;
        pollfd readable{reader_, POLLIN, 0};
        while (read_.find(text) == read_.npos && steady_clock::now() < deadline &&
               poll(&readable, 1, 10'000) == 1) {
            const ssize_t bytes = read(reader_, buffer.data(), buffer.size());
            read_.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(bytes, 0)));
        }
        return read_.find(text) != read_.npos;
    }

    /// Closes the reading end.
    void leave() {
        if (reader_ >= 0) {
            close(reader_);
        }
        reader_ = -1;
    }

private:
    std::string folder_ = std::filesystem::temp_directory_path() / "unfreeze_XXXXXX";
    int reader_ = -1;
    std::string read_;
};

/// Every server, with flags that make it print as many lines as possible.
std::vector<Command> all_servers() {
    std::vector<Command> servers;
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        servers.push_back({program(course_servers.at(stage - 1).name),
                           fmt::format("{} {}", stage >= 4 ? "--work-ms 0" : "",
                                       stage >= 7 ? "--hold-ms 0" : "")});
    }
    servers.push_back({program("thread_per_connection"), ""});
    servers.push_back({program("thread_pool"), ""});
    return servers;
}

std::string name_of(const Command& command) {
    return std::filesystem::path{command.words.front()}.filename();
}

/// The command with a port to be filled in, redirected output and limits.
Command with_output(Command command, std::string_view redirection,
                    const std::vector<std::string>& limits) {
    command.words.insert(command.words.end(), {"--port", "{port}"});
    return command.run_by({"/bin/sh", "-c", fmt::format("exec \"$@\" {}", redirection), "sh"})
        .run_by(limits);
}

/// Opens more connections than a server has descriptors for.
void connect_too_many(std::list<Connection>& clients, const Target& target) {
    while (clients.size() < 40) {
        REQUIRE(clients.emplace_back(target).connected());
    }
}

/// Causes a shortage of descriptors and many lines of output. Checks that the server still serves.
void check_goes_on(ServerProcess& server) {
    {
        std::list<Connection> clients;
        connect_too_many(clients, server.target());
    }
    for (int i = 0; i < 200; ++i) {  // more than a buffer of the output
        REQUIRE(probe(server.target(), 10s));
    }
    CHECK(!server.process().ended());
}

}  // namespace

TEST_CASE("Every server continues if its output can't be written", "[waits]") {
    const std::vector<std::string> limits{"prlimit", "--nofile=24", "--fsize=0"};
    for (const Command& server : all_servers()) {
        INFO(name_of(server));
        Fifo fifo;
        {  // the reader of a pipe has left: SIGPIPE
            ServerProcess running{
                with_output(server, fmt::format(">{} 2>&1", fifo.path()), limits)};
            fifo.leave();
            check_goes_on(running);
        }
        {  // a file has reached its maximum size: SIGXFSZ
            ServerProcess running{
                with_output(server, fmt::format(">{} 2>&1", fifo.in_folder("log")), limits)};
            check_goes_on(running);
        }
        {  // a full disk
            ServerProcess running{with_output(server, ">/dev/full 2>&1", limits)};
            check_goes_on(running);
        }
    }
}

TEST_CASE("No connection becomes a standard stream that is missing", "[waits]") {
    for (const Command& server : all_servers()) {
        INFO(name_of(server));
        ServerProcess running{with_output(server, "<&- >&- 2>&-", {"prlimit", "--nofile=24"})};
        for (int descriptor = 0; descriptor <= 2; ++descriptor) {
            CHECK(std::filesystem::read_symlink(fmt::format(
                      "/proc/{}/fd/{}", running.process().pid(), descriptor)) == "/dev/null");
        }
        check_goes_on(running);
    }
}

TEST_CASE("No client waits for a terminal that does not read notices", "[waits]") {
    Fifo fifo;
    fifo.fill();
    SECTION("a shortage of descriptors") {
        ServerProcess server{with_output({program("stage03_validation"), ""},
                                         fmt::format(">/dev/null 2>{}", fifo.path()),
                                         {"prlimit", "--nofile=24"})};
        Connection before{server.target()};
        std::list<Connection> clients;
        connect_too_many(clients, server.target());
        const auto start = steady_clock::now();
        while (descriptors(server.process().pid()) < 24 && steady_clock::now() < start + 10s) {
        }
        for (int i = 0; i < 3; ++i) {
            before.send(post(event_body(0)));
            CHECK(status_of(before.receive()) == 200);
        }
        clients.clear();
        CHECK(probe(server.target(), 10s));
        CHECK(fifo.reads(
            "stage03_validation: accept paused: Too many open files; retrying every 100 ms\n"));
    }
    SECTION("a shortage of threads, and more notices than are kept") {
        if (sanitized) {
            return;  // a sanitizer needs more memory than this limit allows
        }
        // A thread's stack takes half a gigabyte, so two threads can start besides the first.
        ServerProcess server{with_output({program("thread_per_connection"), ""},
                                         fmt::format(">/dev/null 2>{}", fifo.path()),
                                         {"prlimit", "--stack=500000000", "--as=1400000000"})};
        std::list<Connection> clients;
        do {  // until one has a thread
            clients.emplace_back(server.target());
        } while (clients.back().closed_by_server(200ms));
        for (int i = 0; i < 500; ++i) {
            REQUIRE(Connection{server.target()}.closed_by_server());
        }
        clients.back().send(post(event_body(0)));
        CHECK(status_of(clients.back().receive()) == 200);
        CHECK(fifo.reads(
            "thread_per_connection: connection closed, because no thread could start: "));
        CHECK(fifo.reads(" notices dropped: standard error could not be written\n"));
    }
}

TEST_CASE(
    "A program with too little memory, threads or descriptors works, or fails with one sentence",
    "[waits]") {
    std::vector<std::vector<std::string>> limits;
    for (const int descriptors_max : {4, 5, 6, 16}) {
        limits.push_back({"prlimit", fmt::format("--nofile={}", descriptors_max)});
    }
    if (!sanitized) {  // a sanitizer needs more memory
        for (const int memory_mb : {8, 12, 16, 20, 28, 40, 100}) {
            limits.push_back({"prlimit", fmt::format("--as={}000000", memory_mb)});
        }
        // Each thread takes half a gigabyte, so two to six can start.
        for (const int memory_gb : {1, 2, 3}) {
            limits.push_back(
                {"prlimit", "--stack=500000000", fmt::format("--as={}400000000", memory_gb)});
        }
    }
    std::vector<Command> programs = all_servers();
    for (Command& server : programs) {
        server.words.insert(server.words.end(), {"--port", "0"});
    }
    for (const char* const many : {"stage06_workers", "stage09_metrics", "stage10_shutdown"}) {
        programs.push_back({program(many), "--port 0 --workers 1000 --io-threads 64"});
    }
    programs.push_back({program("client"), "5 --server 127.0.0.1:1"});
    if (!sanitized) {  // benchmarks are not built then
        programs.push_back({program("floor"), "--port 0"});
    }
    programs.push_back({program("freeze"),
                        "--clients 2",
                        {"--spawn", shell_word(program("stage01_blocking")) + " --port 0"}});
    std::size_t refused = 0;
    for (const Command& command : programs) {
        for (const std::vector<std::string>& limit : limits) {
            Process process{command.run_by(limit).with(Output::kept_with_errors)};
            std::optional<std::string> where;
            bool works = false;
            for (const auto start = steady_clock::now();
                 !works && !process.ended() && steady_clock::now() < start + 20s;) {
                process.wait_for_end(10ms);
                where = process.wait_for_line("listening on ", 0ms);
                works = where && (probe(parse_target(*where).value(), 100ms) ||
                                  process.wait_for_output("no thread could start: ", 0ms));
            }
            INFO(fmt::format("{} {}", name_of(command), fmt::join(limit, " ")));
            INFO(process.output());
            if (works || process.exit_status() == 0) {
                continue;
            }
            REQUIRE(process.ended());
            const std::string output = output_with_exit_status(process, 5s);
            if (process.exit_status() == 127) {  // the dynamic loader failed before main()
                CHECK(output.find("error while loading shared libraries") != std::string::npos);
                continue;
            }
            CHECK(std::regex_match(output, std::regex{"((listening on|probe) .*\n)*" +
                                                      name_of(command) + ": [^\n]+\nexit 2\n"}));
            ++refused;
        }
    }
    CHECK(refused > programs.size());
}

TEST_CASE("If the help can't be written, the program fails") {
    const std::string server = shell_word(program("stage01_blocking"));
    CHECK(output_of({"/bin/sh", "-c", {server + " --help 2>&1 >/dev/full"}}) ==
          "stage01_blocking: the help can't be written: No space left on device\nexit 2\n");
    CHECK(output_of({"/bin/sh", "-c", {server + " --help 2>&1 >&-"}}) ==
          "stage01_blocking: the help can't be written: Bad file descriptor\nexit 2\n");
}
