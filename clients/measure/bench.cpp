// Measures the CPU time of a request for several servers. They run in turns under the load of wrk,
// so that other activity on the machine affects all of them alike.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <list>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/load.hpp"
#include "clients/probe/process.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/http/response_parser.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct Options {
    bool stages = false;
    std::vector<std::string> peers;
    std::string scenarios = "all";
    std::size_t rounds = 5;
    std::size_t seconds = 4;
    std::size_t warm_up_seconds = 1;
    std::size_t idle_connections = 15'000;
    std::size_t server_cores = 1;  // also the I/O threads of our servers
    std::string csv = "/dev/null";
};

// ---- the servers ------------------------------------------------------------------------------

struct Server {
    std::string name;
    Command command;
};

/// The path of a program, or an empty string if it is not installed. Also searches /usr/sbin, where
/// nginx is.
std::string find_program(std::string_view name) {
    Process shell{fmt::format("PATH=$PATH:/usr/sbin; command -v {}", name)};
    return shell.wait_for_line("", 5s).value_or("");
}

/// Starts one of our servers, and discards the lines that it prints for each job.
Command our_command(std::string_view name, std::string_view flags) {
    return Command{program(name), fmt::format("--port {{port}} {}", flags)}.with(Output::discarded);
}

/// A temporary directory, removed with this object.
class Folder {
public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "unfreeze_bench_XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) {
            fail(fmt::format("can't create a directory in {}", fs::temp_directory_path().string()));
        }
        path_ = name;
    }
    ~Folder() {
        std::error_code gone_already;
        fs::remove_all(path_, gone_already);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

/// nginx as one process that answers with constant text and writes no log.
Command nginx_command(const std::string& nginx, const fs::path& folder) {
    std::ofstream file{folder / "for_any_port.conf"};
    file << R"(master_process off;
daemon off;
pid nginx.pid;
error_log /dev/null;
events {
    worker_connections 20000;
}
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/json;
    server {
        listen 127.0.0.1:PORT backlog=4096;
        return 202 '{"status":"accepted"}';
    }
}
)";
    file.close();
    if (!file) {
        throw std::runtime_error{fmt::format("can't write to {}", folder.string())};
    }
    // The paths are arguments, so that the shell does not interpret them.
    const std::string line =
        "cd \"$1\" && sed 's/PORT/{port}/' for_any_port.conf >nginx.conf && "
        "exec \"$2\" -e /dev/null -p . -c nginx.conf";
    return {"/bin/sh", "-c", {line, "sh", folder.string(), nginx}};
}

/// Parses NAME=COMMAND. If the command has a {port}, its output is discarded; otherwise it must
/// print its port. Throws std::runtime_error if the flag has another form.
Server peer(const std::string& flag) {
    const std::size_t sign = flag.find('=');
    const std::string name = flag.substr(0, sign);
    const bool good = std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
    });
    if (sign == flag.npos || sign == 0 || !good) {
        throw std::runtime_error{fmt::format(
            "--peer: '{}' is not NAME=COMMAND, such as mine='./server --port {{port}}'", flag)};
    }
    const std::string command = flag.substr(sign + 1);
    const bool has_port = command.find("{port}") != command.npos;
    return {name, has_port ? "exec >/dev/null 2>&1; " + command : command};
}

/// The ten stages, without simulated work.
std::vector<Server> servers_of_the_stages(const Options& options) {
    const std::string threads = fmt::format("--workers 2 --io-threads {} ", options.server_cores);
    std::vector<Server> servers;
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        const std::string_view name = course_servers.at(stage - 1).name;
        servers.push_back(
            {std::string{name},
             our_command(
                 name, fmt::format("{}{}{}{}", stage >= 4 ? "--work-ms 0 " : "",
                                   stage >= 5 ? "--queue-capacity 1000 " : "",
                                   stage >= 6 ? threads : "", stage >= 7 ? "--hold-ms 0 " : ""))});
    }
    return servers;
}

/// The floor, with which the others are compared, nginx, our last stage, and the peers.
std::vector<Server> servers_side_by_side(const Options& options, const Folder& folder) {
    std::vector<Server> servers{{"floor", our_command("floor", "")}};
    if (const std::string nginx = find_program("nginx"); !nginx.empty()) {
        servers.push_back({"nginx", nginx_command(nginx, folder.path())});
    }
    servers.push_back({"ours", servers_of_the_stages(options).back().command});
    for (const std::string& flag : options.peers) {
        servers.push_back(peer(flag));
    }
    return servers;
}

/// Gives a server the first cores that this program may use, and wrk the others; a process inherits
/// its cores. If no core is left for wrk, both use all cores.
class Cores {
public:
    explicit Cores(std::size_t for_servers) {
        cpu_set_t all{};
        sched_getaffinity(0, sizeof all, &all);
        for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
            if (CPU_ISSET(core, &all)) {
                const bool servers = static_cast<std::size_t>(CPU_COUNT(&servers_)) < for_servers;
                CPU_SET(core, servers ? &servers_ : &clients_);
            }
        }
        if (clients() == 0) {
            servers_ = all;
            clients_ = all;
        }
    }

    std::size_t clients() const { return static_cast<std::size_t>(CPU_COUNT(&clients_)); }

    void use_the_servers() const { sched_setaffinity(0, sizeof servers_, &servers_); }
    void use_the_clients() const { sched_setaffinity(0, sizeof clients_, &clients_); }

private:
    cpu_set_t servers_{};
    cpu_set_t clients_{};
};

/// A server on its cores that has answered one event. The constructor throws std::runtime_error if
/// the server does not start, or answers with another status than 2xx.
class Running {
public:
    Running(const Server& server, const Cores& cores) {
        cores.use_the_servers();
        try {
            process_.emplace(server.command);
        } catch (const std::exception& error) {
            throw std::runtime_error{
                fmt::format("{} does not start: {}", server.name, error.what())};
        }
        cores.use_the_clients();
        Connection connection{target()};
        connection.send(post(event_body(0)));
        const auto response = connection.receive();
        if (!response || response->status / 100 != 2) {
            throw std::runtime_error{
                fmt::format("{} answers an event with {}, not with 2xx", server.name,
                            response ? std::to_string(response->status) : "nothing")};
        }
    }

    const Target& target() const { return process_->target(); }

    /// The CPU time that its processes have used so far.
    std::chrono::nanoseconds processor_time() {
        std::chrono::nanoseconds sum{0};
        for (const pid_t pid : processes()) {
            clockid_t clock{};
            timespec used{};
            if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0) {
                sum += std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
            }
        }
        return sum;
    }

    /// The resident memory of its processes. The kernel counts it exactly, while VmRSS is an
    /// estimate.
    long resident_kib() {
        long sum = 0;
        for (const pid_t pid : processes()) {
            std::ifstream sums{fmt::format("/proc/{}/smaps_rollup", pid)};
            std::string word;
            while (sums >> word && word != "Rss:") {
            }
            long kib = 0;
            sum += sums >> kib ? kib : 0;
        }
        return sum;
    }

private:
    /// The process that was started, and all its descendants.
    std::vector<pid_t> processes() {
        std::vector<pid_t> all{process_->process().pid()};
        for (std::size_t i = 0; i < all.size(); ++i) {
            std::error_code gone;
            for (const auto& thread :
                 fs::directory_iterator{fmt::format("/proc/{}/task", all[i]), gone}) {
                std::ifstream children{thread.path() / "children"};
                for (pid_t child = 0; children >> child;) {
                    all.push_back(child);
                }
            }
        }
        return all;
    }

    std::optional<ServerProcess> process_;
};

// ---- the load ---------------------------------------------------------------------------------

struct Scenario {
    std::string_view name;
    std::string what;
    std::size_t connections;
    std::size_t at_a_time = 1;    // requests in flight on each connection
    bool close = false;           // closes the connection after each response
    std::size_t first_stage = 0;  // that --stages measures with it; 0: none
    std::size_t percent = 0;      // of our capacity, at a fixed rate; 0: as fast as possible

    /// wrk can't separate the latencies of pipelined requests.
    bool has_latencies() const { return at_a_time == 1; }
};
Scenario partial_load(std::string_view name, std::size_t percent) {
    return {.name = name,
            .what = fmt::format("64 keep-alive connections, {} % of our capacity offered", percent),
            .connections = 64,
            .percent = percent};
}
const std::array<Scenario, 8> loads{
    {{.name = "k64", .what = "64 keep-alive connections", .connections = 64, .first_stage = 3},
     {.name = "k1000", .what = "1,000 keep-alive connections", .connections = 1'000},
     {.name = "p16",
      .what = "64 keep-alive connections, 16 pipelined requests on each",
      .connections = 64,
      .at_a_time = 16},
     {.name = "close",
      .what = "one connection per request, 64 at a time",
      .connections = 64,
      .close = true,
      .first_stage = 1},
     partial_load("load10", 10),
     partial_load("load25", 25),
     partial_load("load50", 50),
     partial_load("load75", 75)}};
constexpr std::string_view idle = "idle";

/// The line that bench.lua prints. Times in microseconds.
struct Figures {
    double requests = 0, duration = 0, p50 = 0, p99 = 0, p999 = 0;
    double not_2xx = 0, unavailable = 0, other_errors = 0;
};

/// Loads a server for `seconds`, with a thread on each of wrk's cores. With `count_503s` it also
/// counts the 503s, which slows wrk down.
Figures run_wrk(const Scenario& scenario, const Target& target, const Cores& cores,
                std::size_t seconds, bool count_503s = false) {
    const std::string flags =
        fmt::format("-t {} -c {} -d {}s --timeout 5s -s",
                    std::min(cores.clients(), scenario.connections), scenario.connections, seconds);
    const std::vector<std::string> rest{
        std::string{UNFREEZE_SOURCE_DIR} + "/clients/measure/bench.lua",
        fmt::format("http://{}/", target.name()),
        "--",
        std::to_string(scenario.at_a_time),
        scenario.close ? "close" : "keep",
        count_503s ? "count-503s" : ""};
    Process wrk{Command{"wrk", flags, rest}.with(Output::kept_with_errors)};
    const auto said = wrk.wait_for_line("figures ", std::chrono::seconds{seconds + 30});
    Figures figures;
    std::istringstream numbers{said.value_or("")};
    if (!(numbers >> figures.requests >> figures.duration >> figures.p50 >> figures.p99 >>
          figures.p999 >> figures.not_2xx >> figures.unavailable >> figures.other_errors)) {
        throw std::runtime_error{fmt::format("wrk failed: {}", wrk.output())};
    }
    if (figures.requests == 0) {
        throw std::runtime_error{fmt::format("no response in scenario {}", scenario.name)};
    }
    return figures;
}

/// Offers `rate` requests a second for `seconds`, whether or not the server keeps up.
Figures offer(const Scenario& scenario, const Target& target, std::size_t rate,
              std::size_t seconds) {
    const LoadReport report = unfreeze::run_load(target, {.requests = rate * seconds,
                                                          .concurrency = scenario.connections,
                                                          .keep_alive = true,
                                                          .rate = rate});
    const auto microseconds = [&](double share) {
        return static_cast<double>(report.latency.quantile(share).count());
    };
    const auto answered = static_cast<double>(report.accepted + report.rejected);
    if (answered == 0) {
        throw std::runtime_error{fmt::format("no response in scenario {}", scenario.name)};
    }
    return {.requests = answered,
            .duration = static_cast<double>(report.duration.count()),
            .p50 = microseconds(0.5),
            .p99 = microseconds(0.99),
            .p999 = microseconds(0.999),
            .not_2xx = static_cast<double>(report.rejected),
            .unavailable = static_cast<double>(report.rejected),
            .other_errors = static_cast<double>(report.errors_in_all())};
}

/// The result of one server's turn.
struct Run {
    double cpu_us = 0;  // for a request
    double per_second = 0;
    double p50_us = 0, p99_us = 0, p999_us = 0;
    double rejected_percent = 0;  // answered with 503
    double errors = 0;            // neither 503 nor 2xx
};

/// `rate` is that of a partial load.
Run run_load(const Scenario& scenario, const Server& server, std::size_t rate,
             const Options& options, const Cores& cores) {
    Running running{server, cores};
    const auto load = [&](std::size_t seconds) {
        return scenario.percent > 0 ? offer(scenario, running.target(), rate, seconds)
                                    : run_wrk(scenario, running.target(), cores, seconds);
    };
    if (options.warm_up_seconds > 0) {
        load(options.warm_up_seconds);
    }
    const auto before = running.processor_time();
    const Figures figures = load(options.seconds);
    const std::chrono::duration<double, std::micro> used = running.processor_time() - before;
    // wrk counts responses other than 2xx at no cost, but counting 503s would slow down the
    // measured load. So it counts them in one more second of load. If that slower load gets only
    // 2xx, the earlier failures are taken as 503s.
    double unavailable = figures.unavailable;
    if (figures.not_2xx > 0 && unavailable == 0) {
        const Figures seen = run_wrk(scenario, running.target(), cores, 1, true);
        unavailable =
            seen.not_2xx > 0 ? seen.unavailable / seen.not_2xx * figures.not_2xx : figures.not_2xx;
    }
    return {.cpu_us = used.count() / figures.requests,
            .per_second = figures.requests / figures.duration * 1e6,
            .p50_us = figures.p50,
            .p99_us = figures.p99,
            .p999_us = figures.p999,
            .rejected_percent = unavailable / figures.requests * 100,
            .errors = figures.other_errors + figures.not_2xx - unavailable};
}

/// Bytes of memory that the server keeps for an idle connection after one response.
double measure_idle(const Server& server, std::size_t connections, const Cores& cores) {
    Running running{server, cores};
    const long before = running.resident_kib();
    const std::string request = post(event_body(0));
    constexpr timeval patience{.tv_sec = 5, .tv_usec = 0};
    std::array<char, 4096> buffer;
    asio::io_context io;
    std::list<asio::ip::tcp::socket> sockets;
    while (sockets.size() < connections) {
        asio::error_code error;
        asio::ip::tcp::socket& socket = sockets.emplace_back(io);
        open_socket(socket, running.target());
        socket.connect(running.target().endpoint(), error);
        const int descriptor = socket.native_handle();
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        bool goes_on = !error && send(descriptor, request.data(), request.size(), MSG_NOSIGNAL) > 0;
        ResponseParser parser;
        while (goes_on && parser.next() != ResponseParser::Result::response) {
            const ssize_t bytes = recv(descriptor, buffer.data(), buffer.size(), 0);
            goes_on = bytes > 0;
            parser.feed({buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(bytes, 0))});
        }
        if (!goes_on) {
            throw std::runtime_error{fmt::format("{} does not answer on connection {} of {}",
                                                 server.name, sockets.size(), connections)};
        }
    }
    return static_cast<double>(running.resident_kib() - before) * 1024 /
           static_cast<double>(connections);
}

// ---- the tables -------------------------------------------------------------------------------

double median(std::vector<double> numbers) {
    std::sort(numbers.begin(), numbers.end());
    return (numbers.at((numbers.size() - 1) / 2) + numbers.at(numbers.size() / 2)) / 2;
}

using Runs = std::vector<Run>;  // one server's, one for each round

std::vector<double> each(const Runs& runs, double Run::*figure) {
    std::vector<double> figures;
    for (const Run& run : runs) {
        figures.push_back(run.*figure);
    }
    return figures;
}

/// Compares two servers within each round, and returns the median.
template <typename Compare>
double paired(const Runs& one, const Runs& other, const Compare& compare) {
    std::vector<double> compared;
    for (std::size_t round = 0; round < one.size(); ++round) {
        compared.push_back(compare(one[round].cpu_us, other[round].cpu_us));
    }
    return median(compared);
}

/// The ratio to the floor; for stages, the difference to the stage before, empty for the first.
std::string compared(const std::vector<Runs>& runs, std::size_t server, bool stages) {
    if (!stages) {
        return fmt::format("{:.2f}", paired(runs[server], runs[0], std::divides<>{}));
    }
    return server == 0
               ? ""
               : fmt::format("{:+.2f}", paired(runs[server], runs[server - 1], std::minus<>{}));
}

void print_heads(const Options& options, std::FILE* csv) {
    fmt::print(csv,
               "scenario,server,cpu_us,cpu_us_min,cpu_us_max,{},requests_per_second,p50_us,p99_us,"
               "p999_us,rejected_percent,errors,bytes_each\n",
               options.stages ? "more_than_before_us" : "times_the_floor");
}

void print_load(const Scenario& scenario, const std::vector<Server>& servers,
                const std::vector<Runs>& runs, const Options& options, std::FILE* csv) {
    fmt::print(
        "{:<20}   cpu us      min      max   {:>16}   requests/s   p50 us   p99 us   p99.9 us"
        "   rejected   errors\n",
        "server", options.stages ? "vs stage before" : "times the floor");
    for (std::size_t i = 0; i < servers.size(); ++i) {
        const auto middle = [&](double Run::*figure) { return median(each(runs[i], figure)); };
        const auto latency = [&](double Run::*figure) {
            return scenario.has_latencies() ? fmt::format("{:.0f}", middle(figure)) : "";
        };
        const std::string p50 = latency(&Run::p50_us);
        const std::string p99 = latency(&Run::p99_us);
        const std::string p999 = latency(&Run::p999_us);
        const std::string comparison = compared(runs, i, options.stages);
        const double cpu_us = middle(&Run::cpu_us);
        const double per_second = middle(&Run::per_second);
        const double rejected = middle(&Run::rejected_percent);
        const std::vector<double> all_cpu_us = each(runs[i], &Run::cpu_us);
        const auto [min, max] = std::minmax_element(all_cpu_us.begin(), all_cpu_us.end());
        const std::vector<double> all_errors = each(runs[i], &Run::errors);
        const double errors = std::accumulate(all_errors.begin(), all_errors.end(), 0.0);
        fmt::print(
            "{:<20}   {:>6.2f}   {:>6.2f}   {:>6.2f}   {:>16}   {:>10.0f}   {:>6}   {:>6}   "
            "{:>8}   {:>6.1f} %   {:>6.0f}\n",
            servers[i].name, cpu_us, *min, *max, comparison, per_second, p50, p99, p999, rejected,
            errors);
        fmt::print(csv, "{},{},{:.3f},{:.3f},{:.3f},{},{:.0f},{},{},{},{:.1f},{:.0f},\n",
                   scenario.name, servers[i].name, cpu_us, *min, *max, comparison, per_second, p50,
                   p99, p999, rejected, errors);
    }
    std::fflush(stdout);
}

/// How many requests a second our last stage can answer on 64 connections.
double measure_capacity(const std::vector<Server>& servers, const Options& options,
                        const Cores& cores) {
    const auto ours = std::find_if(servers.begin(), servers.end(),
                                   [](const Server& server) { return server.name == "ours"; });
    return run_load(loads.front(), *ours, 0, options, cores).per_second;
}

/// `rate` is that of a partial load.
void bench_load(const Scenario& scenario, const std::vector<Server>& servers, std::size_t rate,
                const Options& options, const Cores& cores, std::FILE* csv) {
    fmt::print("\n{}: {}; median of {} runs of {} s\n", scenario.name, scenario.what,
               options.rounds, options.seconds);
    std::fflush(stdout);
    std::vector<Runs> runs(servers.size());
    for (std::size_t round = 0; round < options.rounds; ++round) {
        for (std::size_t i = 0; i < servers.size(); ++i) {
            runs[i].push_back(run_load(scenario, servers[i], rate, options, cores));
        }
    }
    print_load(scenario, servers, runs, options, csv);
}

void bench_idle(const std::vector<Server>& servers, std::size_t connections, const Cores& cores,
                std::FILE* csv) {
    fmt::print("\n{}: {} idle connections, after one response each\n{:<20}   memory each\n", idle,
               connections, "server");
    for (const Server& server : servers) {
        const double bytes = measure_idle(server, connections, cores);
        fmt::print("{:<20}   {:>5.0f} bytes\n", server.name, bytes);
        std::fflush(stdout);
        fmt::print(csv, "{},{},,,,,,,,,,,{:.0f}\n", idle, server.name, bytes);
    }
}

// ---- main -------------------------------------------------------------------------------------

/// The names of the scenarios that "all" or a list such as "k64,idle" selects, in their own order.
std::vector<std::string> chosen_scenarios(const Options& options) {
    std::vector<std::string> names;
    for (const Scenario& scenario : loads) {
        if (!options.stages || scenario.first_stage > 0) {
            names.emplace_back(scenario.name);
        }
    }
    if (!options.stages) {
        names.emplace_back(idle);
    }
    if (options.scenarios == "all") {
        return names;
    }
    std::vector<std::string> wanted;
    std::istringstream list{options.scenarios + ","};
    for (std::string name; std::getline(list, name, ',');) {
        if (std::find(names.begin(), names.end(), name) == names.end()) {
            fail(fmt::format("unknown scenario '{}'; choose from: {}", name,
                             fmt::join(names, ", ")));
        }
        wanted.push_back(name);
    }
    std::erase_if(names, [&](const std::string& name) {
        return std::find(wanted.begin(), wanted.end(), name) == wanted.end();
    });
    return names;
}

Options parse_options(int argc, char** argv) {
    Options options;
    CommandLine command_line{"Measures the CPU time of a request, for several servers."};
    command_line.add("--peer", options.peers,
                     "NAME=COMMAND, another server; {port} in the command stands for its port; "
                     "may be repeated");
    command_line.add("--stages", options.stages, "measure the ten stages instead of these servers");
    command_line.add("--scenarios", options.scenarios,
                     "a list from k64,k1000,p16,close,load10,load25,load50,load75,idle; with "
                     "--stages from k64,close");
    command_line.add("--rounds", options.rounds, 1, 100,
                     "runs of each server, whose median counts");
    command_line.add("--seconds", options.seconds, 1, 600, "to measure in each run");
    command_line.add("--warm-up-seconds", options.warm_up_seconds, 0, 60,
                     "of load before each measurement");
    command_line.add("--idle-connections", options.idle_connections, 1, 60'000,
                     "to open in scenario idle");
    command_line.add("--server-cores", options.server_cores, 1, 64,
                     "for each server, and also the I/O threads of our servers; wrk gets the other "
                     "cores, or all if none is left");
    command_line.add("--csv", options.csv, "file for the rows");
    command_line.parse(argc, argv);
    if (options.stages && !options.peers.empty()) {
        fail("--peer can't be combined with --stages, which measures only our servers");
    }
    return options;
}

void bench(const Options& options, const std::vector<std::string>& scenarios, std::FILE* csv) {
    const Folder folder;
    const Cores cores{options.server_cores};
    const std::vector<Server> servers =
        options.stages ? servers_of_the_stages(options) : servers_side_by_side(options, folder);
    for (const Server& server : servers) {
        const Running starts{server,
                             cores};  // fails now if it does not start, and not after minutes
    }
    if (!options.stages && find_program("nginx").empty()) {
        notice("skipping nginx, which is not installed (Debian's package nginx-light)");
    }
    print_heads(options, csv);
    double capacity = 0;  // measured for the first partial load
    for (const Scenario& scenario : loads) {
        if (std::find(scenarios.begin(), scenarios.end(), scenario.name) != scenarios.end()) {
            const auto skipped = options.stages ? scenario.first_stage - 1 : 0;
            if (scenario.percent > 0 && capacity == 0) {
                capacity = measure_capacity(servers, options, cores);
            }
            bench_load(
                scenario, {servers.begin() + static_cast<std::ptrdiff_t>(skipped), servers.end()},
                static_cast<std::size_t>(capacity) * scenario.percent / 100, options, cores, csv);
        }
    }
    if (!scenarios.empty() && scenarios.back() == idle) {
        bench_idle(servers, options.idle_connections, cores, csv);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse_options(argc, argv);
    const std::vector<std::string> scenarios = chosen_scenarios(options);
    if (find_program("wrk").empty()) {
        fail("wrk is missing: install Debian's package wrk, or run ./lab setup");
    }
    const std::size_t descriptors_max = raise_descriptor_limit();
    constexpr std::size_t descriptors_of_our_own = 100;
    if (scenarios.back() == idle &&
        options.idle_connections + descriptors_of_our_own > descriptors_max) {
        fail(fmt::format(
            "--idle-connections: {} are too many, because a process may open {} descriptors",
            options.idle_connections, descriptors_max));
    }
    std::FILE* const csv = open_csv(options.csv);
    try {
        bench(options, scenarios, csv);
    } catch (const std::exception& error) {
        fail(error.what());
    }
    close_csv(csv, options.csv);
    finish_output();
}
