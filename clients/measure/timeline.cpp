// Puts every server to the same scenario: a silent client, two dozen requests, then SIGTERM. Shows
// when each request was sent, answered and done.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "clients/probe/account.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/process.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/json.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// ---- the scenario -----------------------------------------------------------------------------

/// A job takes half a second in each stage. From stage 7 on, half of that is under the lock.
std::string flags_of(std::size_t stage) {
    return fmt::format("{}{}{}{}", stage >= 4 ? " --work-ms " : "",
                       stage >= 7   ? "250 --hold-ms 250"
                       : stage >= 4 ? "500"
                                    : "",
                       stage >= 5 ? " --queue-capacity 8" : "", stage >= 6 ? " --workers 4" : "");
}

/// What a client sends. The events have different users, except the second and the third. Amounts
/// are 1, or 2 for that user's second event, so a balance tells which of a user's events are done.
struct Request {
    milliseconds due;
    std::string what;  // the user of an event, or what it is instead
    std::string bytes;
    std::int64_t amount = 0;  // 0: it is no event
};

constexpr std::array<milliseconds, 2> groups{500ms, 3'500ms};  // when each one begins
constexpr std::size_t requests_in_group = 12;
constexpr auto interval = 40ms;         // between the requests of a group
constexpr auto signal_after = 4'250ms;  // SIGTERM
constexpr auto give_up_after = 10s;     // the servers end before that
constexpr auto poll_interval = 10ms;    // of what watches the server

std::vector<Request> make_requests() {
    std::vector<Request> requests{{0ms, "silent", ""}};
    std::size_t users = 0;
    for (const milliseconds begin : groups) {
        for (std::size_t i = 0; i < requests_in_group; ++i) {
            const milliseconds due = begin + i * interval;
            if (i == 5) {
                const bool is_http = begin == groups.front();
                requests.push_back(
                    {due, "garbage",
                     is_http ? post("this is not JSON") : "this is not HTTP\r\n\r\n"});
                continue;
            }
            const bool same_user = requests.size() == 3;
            users += same_user ? 0 : 1;
            Request request{due, fmt::format("user{}", users), "", same_user ? 2 : 1};
            request.bytes = post(JsonObject{}
                                     .add("user", request.what)
                                     .add("action", "buy")
                                     .add("amount", request.amount)
                                     .text());
            requests.push_back(std::move(request));
        }
    }
    return requests;
}

// ---- what happens -----------------------------------------------------------------------------

/// Times count from the connect of the silent client.
struct Outcome {
    milliseconds sent{0};
    milliseconds ended{0};                  // with the response, or because the connection closed
    int status = 0;                         // 0: no response
    std::optional<milliseconds> done = {};  // when its work was seen to be done
};

struct Reading {
    milliseconds at;
    std::uint64_t pending;
};

struct Timeline {
    std::vector<Outcome> outcomes;
    std::vector<Reading> readings;  // of the server's own counter, if it has one
    milliseconds signalled{0};
    milliseconds exited{0};
    int exit_status = 0;
};

class Clock {
public:
    milliseconds now() const {
        return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start_);
    }
    void sleep_until(milliseconds time) const { std::this_thread::sleep_until(start_ + time); }

private:
    steady_clock::time_point start_ = steady_clock::now();
};

/// Marks the events of a user that are in its balance.
void mark_done(const std::string& user, std::int64_t balance, milliseconds now,
               const std::vector<Request>& requests, std::vector<Outcome>& outcomes) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].what == user && (balance & requests[i].amount) != 0 && !outcomes[i].done) {
            outcomes[i].done = now;
        }
    }
}

/// Queries the balances of all users, until the server ends.
void watch_balances(const Target& target, const Clock& clock, const std::vector<Request>& requests,
                    std::vector<Outcome>& outcomes) {
    while (!target.process->ended()) {
        for (const Request& request : requests) {
            if (request.amount > 0) {
                const auto balance = balance_of(target, request.what);
                mark_done(request.what, balance.value_or(0), clock.now(), requests, outcomes);
            }
        }
        std::this_thread::sleep_for(poll_interval);
    }
}

/// Reads the line that stages 7 to 10 print for each job. There, a balance query may wait for the
/// lock, and so would delay the requests that it is to observe.
void watch_jobs(Process& server, const Clock& clock, const std::vector<Request>& requests,
                std::vector<Outcome>& outcomes) {
    std::string unread;
    std::size_t seen = 0;
    for (std::string more; !(more = server.wait_for_more(seen, give_up_after)).empty();) {
        seen += more.size();
        unread += more;
        for (std::size_t end = 0; (end = unread.find('\n')) != unread.npos;) {
            char user[33];
            long long balance = 0;
            if (std::sscanf(unread.c_str(), "[worker %*d] user=%32s balance=%lld", user,
                            &balance) == 2) {
                mark_done(user, balance, clock.now(), requests, outcomes);
            }
            unread.erase(0, end + 1);
        }
    }
}

/// Reads a counter of stages 9 and 10 until the server ends, and returns each change and the last
/// value. A client that only reads keeps its connection during a drain.
std::vector<Reading> watch_pending(const Target& target, const Clock& clock) {
    constexpr std::string_view line = "\nunfreeze_events_pending ";
    std::vector<Reading> readings;
    Connection connection{target};
    while (const auto response = connection.exchange("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")) {
        const std::size_t at = response->body.find(line);
        const auto pending =
            at == response->body.npos ? 0 : std::stoull(response->body.substr(at + line.size()));
        if (readings.empty() || readings.back().pending != pending) {
            readings.push_back({clock.now(), pending});
        }
        std::this_thread::sleep_for(poll_interval);
    }
    if (!readings.empty()) {
        readings.push_back({clock.now(), readings.back().pending});
    }
    return readings;
}

Outcome send_when_due(const Request& request, const Target& target, const Clock& clock) {
    clock.sleep_until(request.due);
    Outcome outcome{.sent = clock.now()};
    Connection connection{target};
    connection.send(request.bytes);  // nothing, if it is the silent client
    outcome.status = status_of(connection.receive(give_up_after));
    outcome.ended = clock.now();
    return outcome;
}

/// Throws std::runtime_error if the server does not end.
Timeline observe(std::size_t stage, const std::vector<Request>& requests) {
    ServerProcess server{our_server(course_servers.at(stage - 1).name, flags_of(stage))};
    const Target target = server.target();
    const Clock clock;
    Timeline seen;
    std::vector<Outcome> done(requests.size());  // by the one that watches
    std::jthread watcher;
    if (stage >= 7) {
        watcher = std::jthread{[&] { watch_jobs(server.process(), clock, requests, done); }};
    } else if (stage >= 4) {
        watcher = std::jthread{[&] { watch_balances(target, clock, requests, done); }};
    }
    auto readings = std::async(std::launch::async, [&] {
        return stage >= 9 ? watch_pending(target, clock) : std::vector<Reading>{};
    });
    std::vector<std::future<Outcome>> outcomes;
    for (const Request& request : requests) {
        outcomes.push_back(std::async(std::launch::async, send_when_due, std::cref(request),
                                      std::cref(target), std::cref(clock)));
    }
    clock.sleep_until(signal_after);
    seen.signalled = clock.now();
    kill(server.process().pid(), SIGTERM);
    if (!server.process().wait_for_end(give_up_after)) {
        kill(server.process().pid(), SIGKILL);  // or its clients would wait
        throw std::runtime_error{fmt::format("stage {} did not end", stage)};
    }
    seen.exited = clock.now();
    seen.exit_status = *server.process().exit_status();
    if (watcher.joinable()) {
        watcher.join();
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
        seen.outcomes.push_back(outcomes[i].get());
        seen.outcomes.back().done = done[i].done;
    }
    seen.readings = readings.get();
    return seen;
}

// ---- as text and as rows ----------------------------------------------------------------------

constexpr milliseconds column{100};
constexpr std::size_t columns = 56;

/// A line of the drawing, with a mark where the signal came.
class Line {
public:
    explicit Line(milliseconds signalled) : cells_(columns, " ") { put(signalled, "╎"); }

    void put(milliseconds at, const char* mark) { cells_[index(at)] = mark; }
    void fill(milliseconds from, milliseconds to, const char* mark) {
        for (std::size_t i = index(from); i < index(to); ++i) {
            cells_[i] = mark;
        }
    }
    std::string text() const {
        const std::string all = fmt::format("{}", fmt::join(cells_, ""));
        return all.substr(0, all.find_last_not_of(' ') + 1);
    }

private:
    static std::size_t index(milliseconds at) {
        return std::min(static_cast<std::size_t>(at / column), columns - 1);
    }

    std::vector<std::string> cells_;
};

std::string response_of(const Outcome& outcome) {
    return outcome.status == 0 ? "none" : std::to_string(outcome.status);
}

/// Whether the server did the work on an event after its response. In stage 4, the response comes
/// when the work is done.
bool is_done_later(const Outcome& outcome) {
    return outcome.done && *outcome.done > outcome.ended + 2 * poll_interval;
}

/// Whether the server accepted an event and then never did its work. Stages 1 to 3 do no work.
bool is_lost(std::size_t stage, const Outcome& outcome) {
    return stage >= 4 && outcome.status / 100 == 2 && !outcome.done;
}

/// The events that the server's own counter shows as pending.
std::string pending_line(const Timeline& seen) {
    constexpr std::array<const char*, 9> heights{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    std::uint64_t most = 1;
    for (const Reading& reading : seen.readings) {
        most = std::max(most, reading.pending);
    }
    Line line{seen.signalled};
    for (std::size_t i = 0; i + 1 < seen.readings.size(); ++i) {
        const std::uint64_t height = (seen.readings[i].pending * 8 + most - 1) / most;
        line.fill(seen.readings[i].at, seen.readings[i + 1].at, heights.at(height));
    }
    return fmt::format("{:>8}  0…{:<3}  {}\n", "pending", most, line.text());
}

std::string drawing(std::size_t stage, const std::vector<Request>& requests, const Timeline& seen) {
    std::string text =
        fmt::format("{}{}\n{:17}", course_servers.at(stage - 1).name, flags_of(stage), "");
    for (std::size_t second = 0; second * 1s < columns * column; ++second) {
        text += fmt::format("{:<{}}", fmt::format("{} s", second), second < 5 ? 1s / column : 0);
    }
    text += "\n";
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const Outcome& outcome = seen.outcomes[i];
        Line line{seen.signalled};
        line.fill(outcome.sent, outcome.ended, "━");
        if (outcome.status != 0) {
            line.put(outcome.ended, "┃");
        }
        if (is_done_later(outcome)) {
            line.fill(outcome.ended + column, *outcome.done, "┈");
            line.put(*outcome.done, "●");
        } else if (is_lost(stage, outcome)) {
            line.fill(outcome.ended + column, seen.exited, "┈");
            line.put(seen.exited, "×");
        }
        text +=
            fmt::format("{:>8}  {:<5}  {}\n", requests[i].what, response_of(outcome), line.text());
    }
    if (!seen.readings.empty()) {
        text += pending_line(seen);
    }
    return text + fmt::format(
                      "exit status {} after {:.2f} s\n"
                      "━ waits for its response   ┃ response   ┈ accepted, waits for its work\n"
                      "● work done                × accepted, work never done       ╎ SIGTERM\n",
                      seen.exit_status, in_ms(seen.exited) / 1e3);
}

void write_rows(std::size_t stage, const std::vector<Request>& requests, const Timeline& seen,
                std::FILE* csv) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const Outcome& outcome = seen.outcomes[i];
        fmt::print(csv, "{},request,{},{},{},{},{},{}\n", stage, i, requests[i].what,
                   outcome.sent.count(), outcome.ended.count(), response_of(outcome),
                   outcome.done              ? std::to_string(outcome.done->count())
                   : is_lost(stage, outcome) ? "never"
                                             : "");
    }
    fmt::print(csv, "{},server,,,{},{},{},\n", stage, seen.signalled.count(), seen.exited.count(),
               seen.exit_status);
    for (const Reading& reading : seen.readings) {
        fmt::print(csv, "{},pending,{},,{},,,\n", stage, reading.pending, reading.at.count());
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t only = 0;
    std::string file = "/dev/null";
    std::string drawings;
    CommandLine command_line{"Puts every server to the same five seconds."};
    command_line.add("stage", only, 0, last_stage, "the only stage to observe; 0: all ten");
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--drawings", drawings,
                     "write each drawing to a file of this name and NN.txt");
    command_line.parse(argc, argv);
    const std::vector<Request> requests = make_requests();
    std::FILE* const csv = open_csv(file);
    fmt::print(csv, "stage,kind,n,what,at_ms,until_ms,status,done_ms\n");
    try {
        for (std::size_t stage = 1; stage <= last_stage; ++stage) {
            if (only == 0 || only == stage) {
                const Timeline seen = observe(stage, requests);
                const std::string text = drawing(stage, requests, seen);
                fmt::print("\n{}", text);
                std::fflush(stdout);
                if (!drawings.empty()) {
                    const std::string name = fmt::format("{}{:02}.txt", drawings, stage);
                    std::FILE* const stream = open_csv(name);
                    fmt::print(stream, "{}", text);
                    close_csv(stream, name);
                }
                write_rows(stage, requests, seen, csv);
            }
        }
    } catch (const std::exception& error) {
        fail(fmt::format("no figures: {}", error.what()));
    }
    close_csv(csv, file);
    finish_output();
}
