#include "clients/probe/process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "clients/probe/black_box.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/conversation.hpp"
#include "clients/probe/json_members.hpp"
#include "clients/probe/listening.hpp"
#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

/// Whether a process has ended. Its parent may not have reaped it yet.
bool has_ended(pid_t pid) {
    std::ifstream stat{"/proc/" + std::to_string(pid) + "/stat"};
    std::string field;
    std::getline(stat, field, ')');  // the name may contain spaces
    return !(stat >> field) || field == "Z" || field == "X";
}

/// Whether a process ends within five seconds.
bool ends_soon(pid_t pid) {
    const auto deadline = steady_clock::now() + 5s;
    while (!has_ended(pid) && steady_clock::now() < deadline) {
        std::this_thread::sleep_for(1ms);
    }
    return has_ended(pid);
}

/// The error of a server that does not start.
std::string start_error(const Command& command, std::chrono::milliseconds timeout = 10s) {
    try {
        ServerProcess server{command, timeout};
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

/// A folder whose name is full of special characters of a shell. The destructor removes it.
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

}  // namespace

TEST_CASE("A process keeps what its command prints") {
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

TEST_CASE("A command's standard error can be kept, and its output can be discarded") {
    const Command command{"/bin/sh", "-c", {"echo out; echo err >&2"}};
    Process both{command.with(Output::kept_with_errors)};
    CHECK(both.wait_for_output("out\nerr\n"));
    Process none{Command{"echo", "out"}.with(Output::discarded)};
    CHECK(none.wait_for_more(0, 5s).empty());
    CHECK(none.wait_for_end(5s));
    CHECK(none.exit_status() == 0);
}

TEST_CASE("A missing program ends with exit status 127") {
    for (const char* const missing : {"/no/such/server", "no-such-server"}) {
        Process process{Command{missing, "--port 0"}.with(Output::kept_with_errors)};
        CHECK(process.wait_for_output(fmt::format("can't run {}\n", missing)));
        CHECK(process.wait_for_end(5s));
        CHECK(process.exit_status() == 127);
    }
}

TEST_CASE("A command that prints more than a pipe holds does not block") {
    Process process{"head -c 1000000 /dev/zero | tr '\\0' x; echo end"};
    CHECK(process.wait_for_output("end\n"));
    CHECK(process.output() == std::string(1'000'000, 'x').append("end\n"));
}

TEST_CASE("A command inherits no connections") {
    asio::io_context io;
    const asio::ip::tcp::acceptor ours{io, {asio::ip::address_v4::loopback(), 0}};
    Process process{"ls -l /proc/self/fd; echo end"};
    CHECK(process.wait_for_output("end\n"));
    CHECK(process.output().find("pipe:") != std::string::npos);
    CHECK(process.output().find("socket:") == std::string::npos);
}

TEST_CASE("Waiting for output ends when the output does, or at the timeout", "[waits]") {
    const auto start = steady_clock::now();
    SECTION("the output ends") {
        Process process{"echo something else"};
        CHECK(!process.wait_for_output("text", 1min));
        CHECK(!process.wait_for_line("text", 1min));
    }
    SECTION("the timeout is reached") {
        Process process{"exec sleep 1000"};
        CHECK(!process.wait_for_output("text", 100ms));
        CHECK(steady_clock::now() - start >= 100ms);
        CHECK(!process.wait_for_line("text", 100ms));
        CHECK(steady_clock::now() - start >= 200ms);
    }
    CHECK(steady_clock::now() - start < 20s);
}

TEST_CASE("wait_for_line waits until the line is complete") {
    Process process{"printf 'first\\nat: fi'; read line; echo rst; echo at: second; cat"};
    CHECK(process.wait_for_output("fi"));
    CHECK(!process.wait_for_line("at: ", 100ms));
    CHECK(process.wait_for_line("fir", 5s) == "st");
}

TEST_CASE("A process reports that its command has ended") {
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

TEST_CASE("The destructor ends all processes that a command has started") {
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
    CHECK(kill(shell, 0) != 0);  // also reaped: no zombie is left
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

TEST_CASE("A command ends when the program that started it is killed") {
    Process starter{
        Command{program("client"), "1 --spawn", {"echo child $$ >&2; exec sleep 1000"}}.with(
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

TEST_CASE("A process that can't be started leaks nothing") {
    const auto before = descriptors(getpid());
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const Process first{"exec sleep 1000"};  // opens what the first process needs
    const auto needed = descriptors(getpid()) - before;
    bool started = false;
    for (rlim_t more = 0; !started; ++more) {
        REQUIRE(more < 20);
        const rlimit short_limit{static_cast<rlim_t>(descriptors(getpid())) + more, limit.rlim_max};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &short_limit) == 0);
        std::string message;
        try {
            const Process process{"exec sleep 1000", 1min};
            started = true;
        } catch (const std::system_error& error) {
            message = error.what();
        }
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK(message.ends_with(started ? "" : "Too many open files"));
        CHECK(descriptors(getpid()) == before + needed);
    }
    CHECK(waitpid(-1, nullptr, WNOHANG) == 0);  // no child but the first
}

TEST_CASE("Printing 'exit 0' does not end the output", "[waits]") {
    Process process{"echo exit 0; sleep 0.3; echo more"};
    CHECK(!process.wait_for_end_of_output(10ms));
    CHECK(process.wait_for_end_of_output(5s));
    CHECK(process.output() == "exit 0\nmore\n");
    CHECK(output_of("echo exit 0; sleep 0.3; exit 3") == "exit 0\nexit 3\n");
}

TEST_CASE("A command may clean up before it ends") {
    const auto mark = std::filesystem::temp_directory_path() /
                      ("unfreeze_process_test_" + std::to_string(getpid()));
    {
        Process process{"trap 'echo cleaned > " + mark.string() +
                        "; exit' TERM; echo set; read line"};
        REQUIRE(process.wait_for_output("set"));
    }
    CHECK(std::filesystem::remove(mark));
}

TEST_CASE("A command that ignores SIGTERM is killed after the timeout", "[waits]") {
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

TEST_CASE("A process that left the group and keeps the output open blocks nothing", "[waits]") {
    const auto start = steady_clock::now();
    {
        // It closes our standard error, because readers of that would wait for it.
        Process process{"setsid sh -c 'echo started; exec sleep 20' 2>/dev/null & wait"};
        CHECK(process.wait_for_output("started"));
    }
    CHECK(steady_clock::now() - start < 10s);
}

TEST_CASE("A process leaks no descriptors") {
    const auto before = descriptors(getpid());
    for (int i = 0; i < 5; ++i) {
        Process{"true"}.wait_for_end(5s);
    }
    CHECK(descriptors(getpid()) == before);
}

TEST_CASE("A server with {port} has started once it accepts", "[waits]") {
    const auto start = steady_clock::now();
    ServerProcess server{"sleep 0.3; exec nc -lk 127.0.0.1 {port}"};
    CHECK(steady_clock::now() - start >= 300ms);
    CHECK(server.target().port != 0);
    Connection connection{server.target()};
    REQUIRE(connection.connected());
    REQUIRE(connection.send("hello\n"));
    CHECK(server.process().wait_for_output("hello\n"));  // the connection is to this server
}

TEST_CASE("The same free port replaces every {port}") {
    // A server that accepts on the port, and prints its other arguments.
    const std::string script = "echo \"got $1 and $2\"; exec nc -lk 127.0.0.1 {port}";
    ServerProcess server{{"/bin/sh", "-c", {script, "sh", "{port}", "<{port}{port}>"}}};
    const std::string port = std::to_string(server.target().port);
    CHECK(server.process().wait_for_output("got " + port + " and <" + port + port + ">\n"));

    ServerProcess line{"echo {port} {port}; exec nc -lk 127.0.0.1 {port}"};
    const std::string line_port = std::to_string(line.target().port);
    CHECK(line.process().wait_for_output(line_port + " " + line_port + "\n"));
}

TEST_CASE("A server without {port} has started once it prints where it listens", "[waits]") {
    // The address comes in two writes, after another line: half a port must not be read.
    ServerProcess server{
        "echo starting; printf 'listening on 127.0.0.1:8'; sleep 0.3; echo 765; cat"};
    CHECK(server.target().name() == "127.0.0.1:8765");
}

TEST_CASE("A command that exits is no server") {
    const auto start = steady_clock::now();
    CHECK(start_error("false") == "it ended before it listened");
    CHECK(start_error("echo listening on") == "it ended before it listened");
    CHECK(start_error("/no/such/server 2>&1") == "it ended before it listened");
    const Command missing{"/no/such/server", "--port 0"};
    CHECK(start_error(missing.with(Output::kept_with_errors)) == "it ended before it listened");
    CHECK(start_error("false {port}") ==
          "it ended with exit status 1 before it accepted a connection");
    CHECK(steady_clock::now() - start < 8s);  // less than the timeout
}

TEST_CASE("A command that does not listen in time is no server", "[waits]") {
    const auto start = steady_clock::now();
    CHECK(start_error("exec sleep 1000", 200ms) ==
          "it never printed 'listening on HOST:PORT', and its command contains no {port}");
    CHECK(steady_clock::now() - start >= 200ms);
    CHECK(start_error("exec sleep 1000 # {port}", 200ms)
              .starts_with("it accepts no connection on 127.0.0.1:"));
    CHECK(steady_clock::now() - start >= 400ms);
    CHECK(steady_clock::now() - start < 20s);
}

TEST_CASE("Standard output and standard error can be kept apart, with their times") {
    Process process{Command{"echo out; echo error >&2; echo more"}.with(Output::kept_apart)};
    CHECK(process.wait_for_end_of_output(5s));
    CHECK(process.output() == "out\nmore\n");
    CHECK(process.errors() == "error\n");
    std::string all;
    auto last = steady_clock::time_point::min();
    for (const OutputPiece& piece : process.pieces()) {
        CHECK(piece.time >= last);
        last = piece.time;
        all += piece.error ? "" : piece.text;
    }
    CHECK(all == "out\nmore\n");
}

TEST_CASE("The process that listens is found behind shells, and no other") {
    const std::string server = shell_word(program("stage01_blocking")) + " --port {port}";
    for (const std::string& line :
         {server, "cd / && " + server, "sh -c " + shell_word(server + "; true") + "; true"}) {
        ServerProcess behind{line};
        const auto pid = listening_process(behind.process().pid(), behind.target().port);
        REQUIRE(pid);
        std::ifstream name{fmt::format("/proc/{}/comm", *pid)};
        std::string text;
        std::getline(name, text);
        CHECK(text == "stage01_blockin");  // the kernel keeps 15 characters
        CHECK(!listening_process(behind.process().pid(), 1));
        const ServerProcess other{line};
        CHECK(!listening_process(behind.process().pid(), other.target().port));
        const auto sockets = listening_sockets(behind.process().pid());
        REQUIRE(sockets.size() == 1);
        CHECK(sockets[0].address == "127.0.0.1");
    }
}

TEST_CASE("A conversation shows what was sent and received, in lines of 80 columns") {
    ServerProcess server{our_server("stage02_async")};
    Conversation conversation;
    Target target = server.target();
    target.conversation = &conversation;
    {
        Connection first{target};
        for (const char c : post("\xff" + std::string(200, 'x'))) {
            first.send({&c, 1});
        }
        CHECK(first.receive());
        CHECK(first.closed_by_server());
    }
    Connection{target}.send("half");
    const std::string text = conversation.text(&server.process(), 1);
    INFO(text);
    CHECK(text.find("#1   > POST / HTTP/1.1\\r\\n\n") != text.npos);
    CHECK(text.find("#1   > \\xffxxx") != text.npos);
    CHECK(text.find(" bytes in 2") != text.npos);  // 2.. pieces
    CHECK(text.find("#1   < HTTP/1.1 200 OK\\r\\n\n") != text.npos);
    CHECK(text.find("#1     (server closed)\n") != text.npos);
    CHECK(text.find("#2 ") == text.npos);
    CHECK(text.find("(1 more connections; ") != text.npos);
    CHECK(conversation.text(nullptr, 2).find("#2   > half\n") != text.npos);
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        CHECK(line.size() <= 80);
    }
}

TEST_CASE("The members of a JSON object are read in any spelling") {
    const auto members = JsonMembers::parse(
        R"( { "a" : "\u00e4\"" , "n":-9223372036854775808, "d":1e2, "deep":{"n":7,"s":"x"},
              "big":9223372036854775808, "half":0.5, "twice":1, "list":["n",[3]], "twice":"2" } )");
    REQUIRE(members);
    CHECK(members->string("a") == "\u00e4\"");
    CHECK(members->integer("n") == std::numeric_limits<std::int64_t>::min());
    CHECK(members->integer("d") == 100);
    CHECK(members->string("twice") == "2");
    for (const char* const name : {"s", "big", "half", "twice", "deep", "list", "a", "none"}) {
        INFO(name);
        CHECK(!members->integer(name));
    }
    for (const std::string& wrong :
         {std::string{"[1]"}, std::string{"1"}, std::string{}, std::string{"{"},
          std::string{"{} {}"}, std::string{"{\"a\":\"\xff\"}"}, std::string{"{'a':1}"}}) {
        INFO(wrong);
        CHECK(!JsonMembers::parse(wrong));
    }
    CHECK(JsonMembers::parse("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') +
                             "}"));
}
