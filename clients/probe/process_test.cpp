#include "clients/probe/process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "clients/probe/black_box.hpp"
#include "clients/probe/connection.hpp"
#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

/// Whether a process has ended, though its parent may not have asked for its status yet.
bool has_ended(pid_t pid) {
    std::ifstream stat{"/proc/" + std::to_string(pid) + "/stat"};
    std::string field;
    std::getline(stat, field, ')');  // the name may hold spaces
    return !(stat >> field) || field == "Z" || field == "X";
}

/// Whether it has within five seconds.
bool ends_soon(pid_t pid) {
    const auto deadline = steady_clock::now() + 5s;
    while (!has_ended(pid) && steady_clock::now() < deadline) {
        std::this_thread::sleep_for(1ms);
    }
    return has_ended(pid);
}

/// The sentence with which a server does not come to be.
std::string complaint_about(const Command& command, std::chrono::milliseconds patience = 10s) {
    try {
        ServerProcess server{command, patience};
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

/// A folder whose name means much to a shell, while this object lives.
class OddFolder {
public:
    OddFolder() { std::filesystem::create_directory(path_); }
    ~OddFolder() { std::filesystem::remove_all(path_); }
    OddFolder(const OddFolder&) = delete;
    OddFolder& operator=(const OddFolder&) = delete;

    /// A copy of a program in the folder.
    std::string copy(const std::filesystem::path& original) const {
        const std::filesystem::path copied = path_ / original.filename();
        std::filesystem::copy_file(original, copied);
        return copied;
    }

private:
    const std::filesystem::path path_ =
        std::filesystem::temp_directory_path() /
        ("unfreeze it's [1] + \"$HOME\" & ; * " + std::to_string(getpid()));
};

/// How many descriptors this program has open.
std::ptrdiff_t open_descriptors() {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {});
}

}  // namespace

TEST_CASE("What a command prints is kept") {
    Process process{"printf 'one\\ntwo '; sleep 0.05; echo three"};
    CHECK(process.wait_for_output("three\n"));
    CHECK(process.output() == "one\ntwo three\n");
    CHECK(process.wait_for_output("two"));
}

TEST_CASE("A program runs from a folder with any name") {
    const OddFolder folder;
    Process echo{{folder.copy("/bin/echo"), "hello"}};
    CHECK(echo.wait_for_output("hello\n"));
    ServerProcess server{{folder.copy(program("floor")), "--port 0"}};
    CHECK(probe(server.target(), 5s));
}

TEST_CASE("Arguments reach a program unchanged, whatever they hold") {
    const std::vector<std::string> odd{"",    " ",   "a b", "it's", "\"$HOME\"",   "`id`", "*",
                                       "[1]", "& ;", "\\n", "-",    "line\nbreak", "{port"};
    std::string expected = "<one><two>";
    for (const std::string& word : odd) {
        expected += "<" + word + ">";
    }
    Process process{{"/usr/bin/printf", "<%s> one  two", odd}};
    CHECK(process.wait_for_output(expected));
    Process started{Command{"/usr/bin/printf", "<%s> one  two", odd}.run_by({"env", "A=b"})};
    CHECK(started.wait_for_output(expected));
}

TEST_CASE("Standard error joins the output if that is wanted, and no output is kept if it is not") {
    const Command command{"/bin/sh", "-c", {"echo out; echo err >&2"}};
    Process both{command.with(Output::kept_with_errors)};
    CHECK(both.wait_for_output("out\nerr\n"));
    Process none{Command{"echo", "out"}.with(Output::discarded)};
    CHECK(none.wait_for_more(0, 5s).empty());
    CHECK(none.wait_for_end(5s));
    CHECK(none.exit_status() == 0);
}

TEST_CASE("A program that is missing ends with exit status 127") {
    for (const char* const missing : {"/no/such/server", "no-such-server"}) {
        Process process{Command{missing, "--port 0"}.with(Output::kept_with_errors)};
        CHECK(process.wait_for_output(fmt::format("can't run {}\n", missing)));
        CHECK(process.wait_for_end(5s));
        CHECK(process.exit_status() == 127);
    }
}

TEST_CASE("A command that prints more than a pipe holds does not wait for us") {
    Process process{"head -c 1000000 /dev/zero | tr '\\0' x; echo end"};
    CHECK(process.wait_for_output("end\n"));
    CHECK(process.output() == std::string(1'000'000, 'x').append("end\n"));
}

TEST_CASE("A command has none of our connections") {
    asio::io_context io;
    const asio::ip::tcp::acceptor ours{io, {asio::ip::address_v4::loopback(), 0}};
    Process process{"ls -l /proc/self/fd; echo end"};
    CHECK(process.wait_for_output("end\n"));
    CHECK(process.output().find("pipe:") != std::string::npos);
    CHECK(process.output().find("socket:") == std::string::npos);
}

TEST_CASE("Waiting for output ends with the output, or with one's patience", "[waits]") {
    const auto start = steady_clock::now();
    SECTION("the output ends") {
        Process process{"echo something else"};
        CHECK(!process.wait_for_output("text", 1min));
        CHECK(!process.wait_for_line("text", 1min));
    }
    SECTION("the patience ends") {
        Process process{"exec sleep 1000"};
        CHECK(!process.wait_for_output("text", 100ms));
        CHECK(steady_clock::now() - start >= 100ms);
        CHECK(!process.wait_for_line("text", 100ms));
        CHECK(steady_clock::now() - start >= 200ms);
    }
    CHECK(steady_clock::now() - start < 20s);
}

TEST_CASE("A line is waited for until it is whole") {
    Process process{"printf 'first\\nat: fi'; read line; echo rst; echo at: second; cat"};
    CHECK(process.wait_for_output("fi"));
    CHECK(!process.wait_for_line("at: ", 100ms));
    CHECK(process.wait_for_line("fir", 5s) == "st");
}

TEST_CASE("A command knows when it has ended") {
    Process process{"(exit 3)"};
    CHECK(process.wait_for_end(5s));
    CHECK(process.ended());

    Process other{"exec cat"};  // its input stays open, and it waits
    const auto start = steady_clock::now();
    CHECK(!other.wait_for_end(100ms));
    CHECK(steady_clock::now() - start >= 100ms);
    CHECK(!other.ended());
    REQUIRE(kill(other.pid(), SIGKILL) == 0);
    CHECK(other.wait_for_end(5s));
}

TEST_CASE("All that a command has started ends with the object") {
    pid_t shell = 0;
    pid_t child = 0;
    {
        Process process{"sleep 1000 & echo child $!; wait"};
        const auto printed = process.wait_for_line("child ", 5s);
        REQUIRE(printed);
        child = std::stoi(*printed);
        shell = process.pid();
        REQUIRE(!has_ended(shell));
        REQUIRE(!has_ended(child));
    }
    CHECK(ends_soon(child));
    CHECK(kill(shell, 0) != 0);  // asked for its status too: not even a zombie is left
}

TEST_CASE("A command outlives the thread that started it", "[waits]") {
    std::optional<Process> process;
    std::thread{[&] {
        process.emplace("echo started; exec sleep 1000");
        process->wait_for_output("started");
    }}.join();
    CHECK(process->output() == "started\n");
    CHECK(!process->wait_for_end(300ms));
}

TEST_CASE("A command ends with the program that started it, even if that is killed") {
    Process starter{
        Command{program("check"), "1 --spawn", {"echo child $$ >&2; exec sleep 1000"}}.with(
            Output::kept_with_errors)};
    const auto printed = starter.wait_for_line("child ", 5s);
    REQUIRE(printed);
    const pid_t child = std::stoi(*printed);
    REQUIRE(!has_ended(child));
    REQUIRE(kill(starter.pid(), SIGKILL) == 0);
    CHECK(ends_soon(child));
}

TEST_CASE("A command gets the default signals, whatever this program ignores or blocks") {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    REQUIRE(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    for (const int ignored : {SIGPIPE, SIGXFSZ}) {
        const auto disposition = signal(ignored, SIG_IGN);
        Process process{fmt::format("kill -{} $$; echo survived", ignored)};
        CHECK(process.wait_for_end(5s));
        CHECK(process.exit_status() == 128 + ignored);
        CHECK(process.output().empty());
        signal(ignored, disposition);
    }
    Process blocked{"grep SigBlk: /proc/self/status"};
    CHECK(blocked.wait_for_line("SigBlk:\t", 5s) == "0000000000000000");
    REQUIRE(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
}

TEST_CASE("A process that can't be started leaves nothing behind") {
    const auto before = open_descriptors();
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const Process first{"exec sleep 1000"};  // what the first one of all needs is there by now
    const auto needed = open_descriptors() - before;
    bool started = false;
    for (rlim_t more = 0; !started; ++more) {
        REQUIRE(more < 20);
        const rlimit short_limit{static_cast<rlim_t>(open_descriptors()) + more, limit.rlim_max};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &short_limit) == 0);
        std::string complaint;
        try {
            const Process process{"exec sleep 1000", 1min};
            started = true;
        } catch (const std::system_error& error) {
            complaint = error.what();
        }
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK(complaint.ends_with(started ? "" : "Too many open files"));
        CHECK(open_descriptors() == before + needed);
    }
    CHECK(waitpid(-1, nullptr, WNOHANG) == 0);  // no child but the first
}

TEST_CASE("Waiting for the end of the output does not mistake a text for it", "[waits]") {
    Process process{"echo exit 0; sleep 0.3; echo more"};
    CHECK(!process.wait_for_end_of_output(10ms));
    CHECK(process.wait_for_end_of_output(5s));
    CHECK(process.output() == "exit 0\nmore\n");
    CHECK(output_of("echo exit 0; sleep 0.3; exit 3") == "exit 0\nexit 3\n");
}

TEST_CASE("A command may tidy up before it ends") {
    const auto mark = std::filesystem::temp_directory_path() /
                      ("unfreeze_process_test_" + std::to_string(getpid()));
    {
        Process process{"trap 'echo tidied > " + mark.string() +
                        "; exit' TERM; echo set; read line"};
        REQUIRE(process.wait_for_output("set"));
    }
    CHECK(std::filesystem::remove(mark));
}

TEST_CASE("A command that ignores SIGTERM is killed once the patience is over", "[waits]") {
    std::optional<Process> process;
    process.emplace("trap '' TERM; echo set; exec sleep 1000", 300ms);
    REQUIRE(process->wait_for_output("set"));
    const pid_t pid = process->pid();
    const auto start = steady_clock::now();
    process.reset();
    CHECK(steady_clock::now() - start >= 300ms);
    CHECK(steady_clock::now() - start < 20s);
    CHECK(kill(pid, 0) != 0);
}

TEST_CASE("Who has left the group, and holds the output open, holds nobody up", "[waits]") {
    const auto start = steady_clock::now();
    {
        // It leaves our own standard error alone, which would hold up those who read that.
        Process process{"setsid sh -c 'echo started; exec sleep 20' 2>/dev/null & wait"};
        CHECK(process.wait_for_output("started"));
    }
    CHECK(steady_clock::now() - start < 10s);
}

TEST_CASE("A process leaves no descriptors behind") {
    const auto before = open_descriptors();
    for (int i = 0; i < 5; ++i) {
        Process{"true"}.wait_for_end(5s);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("A command with {port} is a server once it accepts", "[waits]") {
    const auto start = steady_clock::now();
    ServerProcess server{"sleep 0.3; exec nc -lk 127.0.0.1 {port}"};
    CHECK(steady_clock::now() - start >= 300ms);
    CHECK(server.target().port != 0);
    Connection connection{server.target()};
    REQUIRE(connection.connected());
    REQUIRE(connection.send("hello\n"));
    CHECK(server.process().wait_for_output("hello\n"));  // it is this one, and no other
}

TEST_CASE("The same free port replaces every {port}") {
    // A server that accepts on the port, and says what else it was told.
    const std::string script = "echo \"got $1 and $2\"; exec nc -lk 127.0.0.1 {port}";
    ServerProcess server{{"/bin/sh", "-c", {script, "sh", "{port}", "<{port}{port}>"}}};
    const std::string port = std::to_string(server.target().port);
    CHECK(server.process().wait_for_output("got " + port + " and <" + port + port + ">\n"));

    ServerProcess line{"echo {port} {port}; exec nc -lk 127.0.0.1 {port}"};
    const std::string its_port = std::to_string(line.target().port);
    CHECK(line.process().wait_for_output(its_port + " " + its_port + "\n"));
}

TEST_CASE("A command that says where it listens is a server there", "[waits]") {
    // In two steps and behind another line: neither that line's end nor half a port is taken.
    ServerProcess server{
        "echo starting; printf 'listening on 127.0.0.1:8'; sleep 0.3; echo 765; cat"};
    CHECK(server.target().name() == "127.0.0.1:8765");
}

TEST_CASE("A command that ends is no server") {
    const auto start = steady_clock::now();
    CHECK(complaint_about("false") == "it ended before it listened");
    CHECK(complaint_about("echo listening on") == "it ended before it listened");
    CHECK(complaint_about("/no/such/server 2>&1") == "it ended before it listened");
    const Command missing{"/no/such/server", "--port 0"};
    CHECK(complaint_about(missing.with(Output::kept_with_errors)) == "it ended before it listened");
    CHECK(complaint_about("false {port}") == "it ended before it accepted a connection");
    CHECK(steady_clock::now() - start < 8s);  // it did not take the patience
}

TEST_CASE("A command that does not listen is no server once the patience is over", "[waits]") {
    const auto start = steady_clock::now();
    CHECK(complaint_about("exec sleep 1000", 200ms) ==
          "it never said 'listening on HOST:PORT', and its command has no {port} to fill in");
    CHECK(steady_clock::now() - start >= 200ms);
    CHECK(complaint_about("exec sleep 1000 # {port}", 200ms)
              .starts_with("nobody accepts connections on port "));
    CHECK(steady_clock::now() - start >= 400ms);
    CHECK(steady_clock::now() - start < 20s);
}
