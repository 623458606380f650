// Tests your own server against the claims of the course, stage by stage, and prints which stage it
// has reached.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <sstream>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "clients/claims/contract.hpp"
#include "clients/claims/exchange.hpp"
#include "clients/claims/trial.hpp"
#include "clients/probe/conversation.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/server_options.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/json.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t columns = 80;
constexpr std::size_t connections_shown = 12;
constexpr std::size_t all_connections = 1'000'000;

struct Options {
    std::size_t stage = 0;  // 0: until a stage is not reached
    ServerOptions server;
    std::vector<std::string> only;
    std::string show;
    std::size_t times = 1;
    std::size_t capacity = 0;
    std::string json;
    std::string keep;
    bool stop = false;
    bool list = false;
    bool contract = false;
};

enum class Verdict { pass, fail, unknown };

std::string_view name_of(Verdict verdict) {
    return verdict == Verdict::pass ? "PASS" : verdict == Verdict::fail ? "FAIL" : "UNKNOWN";
}

/// All tries of one claim.
struct Result {
    const Claim* claim = nullptr;
    std::size_t stage = 0;
    Verdict verdict = Verdict::pass;
    Trial trial = {};  // the first that did not pass, or the last
    std::size_t passed = 0;
    std::size_t times = 0;
    std::chrono::duration<double> took{0};

    /// Whether an HTTP library may be the cause of all that the server did wrong.
    bool by_framework() const {
        const std::vector<Failure>& failures = trial.finding.failures;
        return verdict == Verdict::fail && !failures.empty() && !trial.crashed() &&
               std::all_of(failures.begin(), failures.end(),
                           [](const Failure& failure) { return failure.by_framework; });
    }
};

/// While a claim is tested, measures how late this program wakes up from short sleeps: a machine
/// that is too busy delays the requests of `check` as well as the server. On a terminal, it also
/// shows which claim is being tested, and for how long.
class Watch {
public:
    explicit Watch(std::string_view goal)
        : thread_{[this, goal](const std::stop_token& stop) { run(stop, goal); }} {}

    /// The longest delay so far.
    milliseconds stall() const { return milliseconds{stall_ms_.load()}; }

private:
    void run(const std::stop_token& stop, std::string_view goal) {
        constexpr auto nap = 5ms;
        const bool terminal = isatty(STDERR_FILENO) != 0;
        const auto start = steady_clock::now();
        auto drawn = start;
        while (!stop.stop_requested()) {
            const auto before = steady_clock::now();
            std::this_thread::sleep_for(nap);
            const auto now = steady_clock::now();
            const auto late = std::chrono::duration_cast<milliseconds>(now - before - nap);
            stall_ms_ = std::max<long>(stall_ms_, late.count());
            if (terminal && now > drawn + 500ms) {
                drawn = now;
                fmt::print(stderr, "\r...   {:.60} ({} s)\033[K", goal, (now - start) / 1s);
            }
        }
        if (terminal && drawn != start) {
            fmt::print(stderr, "\r\033[K");
        }
    }

    std::atomic<long> stall_ms_ = 0;
    std::jthread thread_;
};

/// Text in lines of at most 80 columns. The first begins with the label, and the others are
/// indented as far.
std::string wrapped(std::string_view label, std::string_view text) {
    std::string out;
    std::string line{label};
    const std::string indent(label.size(), ' ');
    std::istringstream words{std::string{text}};
    for (std::string word; words >> word;) {
        if (line.size() > label.size() && line.size() + 1 + word.size() > columns) {
            out += line + "\n";
            line = indent;
        }
        line += (line.size() > label.size() ? " " : "") + word;
        while (line.size() > columns) {  // a word that is longer than a line
            out += line.substr(0, columns) + "\n";
            line = indent + line.substr(columns);
        }
    }
    return out + line + "\n";
}

/// Tests a claim once, on a new server process or on the running server. `text` gets the
/// conversation.
Trial try_it(const Claim& claim, const Options& options, Conversation* conversation,
             std::string& text) {
    const auto keep_text = [&](const Process* process) {
        if (conversation != nullptr) {
            text = conversation->text(process,
                                      options.show.empty() ? all_connections : connections_shown);
        }
    };
    const ServerOptions& server = options.server;
    if (server.spawn.empty()) {
        std::optional<ServerProcess> none;
        Target target = find_server(server, none);
        target.queue_capacity = options.capacity;
        target.conversation = conversation;
        Trial trial{&claim, claim.experiment(target)};
        keep_text(nullptr);
        return trial;
    }
    try {
        return try_claim(claim, Command{server.spawn}.with(Output::kept_apart),
                         {.queue_capacity = options.capacity,
                          .conversation = conversation,
                          .done = [&](const Process& process) { keep_text(&process); }});
    } catch (const std::system_error& error) {
        fail(error.what());  // a shortage of this program
    } catch (const std::exception& error) {
        fail(fmt::format("no server from '{}': {}", server.spawn, error.what()));
    }
}

Verdict judge(const Trial& trial) {
    const Finding& finding = trial.finding;
    if (trial.crashed()) {
        return Verdict::fail;
    }
    if (finding.test == Finding::Test::unknown) {
        return Verdict::unknown;
    }
    const bool good = trial.claim->traits.defect
                          ? !finding.holds && finding.test == Finding::Test::done
                          : finding.holds;
    return good ? Verdict::pass : Verdict::fail;
}

/// One try of a claim.
struct Attempt {
    Trial trial = {};
    Verdict verdict = Verdict::pass;
    std::string conversation = {};
    bool maybe_noise = false;  // it failed because of a time that the machine may have added
};

Attempt attempt(const Claim& claim, const Options& options) {
    constexpr auto too_busy = 100ms;       // for claims that compare short times
    constexpr auto much_too_busy = 500ms;  // for all, because responses have a second
    constexpr auto busy = 10ms;
    Attempt made;
    Conversation conversation;
    const bool recorded = !options.show.empty() || !options.keep.empty();
    milliseconds stall{0};
    {
        const Watch watch{claim.goal};
        made.trial = try_it(claim, options, recorded ? &conversation : nullptr, made.conversation);
        stall = watch.stall();
    }
    made.verdict = judge(made.trial);
    const std::vector<Failure>& failures = made.trial.finding.failures;
    const bool timed = std::all_of(failures.begin(), failures.end(),
                                   [](const Failure& failure) { return failure.timed; });
    if (made.verdict == Verdict::fail && timed && !made.trial.crashed()) {
        made.maybe_noise = claim.traits.exclusive && stall > busy;
        if (stall > (claim.traits.exclusive ? too_busy : much_too_busy)) {
            made.verdict = Verdict::unknown;
            made.trial.finding.figure += fmt::format(
                "; but check itself had to wait {} ms for a processor: the machine is "
                "too busy",
                stall.count());
        }
    }
    return made;
}

/// Tests a claim as often as the options say. Each time, a result that the machine may have caused
/// is tried again, up to three times in all.
Result test(const Claim& claim, std::size_t stage, const Options& options) {
    constexpr int attempts_max = 3;
    Result result{.claim = &claim, .stage = stage};
    const auto start = steady_clock::now();
    while (result.times < options.times) {
        Attempt made = attempt(claim, options);
        for (int i = 1; i < attempts_max && made.maybe_noise; ++i) {
            made = attempt(claim, options);
        }
        const auto& [trial, verdict, text, maybe_noise] = made;
        ++result.times;
        result.passed += verdict == Verdict::pass ? 1 : 0;
        if (result.times == 1 || (result.verdict != Verdict::fail && verdict != Verdict::pass)) {
            result.trial = trial;
            result.verdict = verdict;
        }
        if (!options.keep.empty()) {
            const std::string file =
                fmt::format("{}/{}{}.txt", options.keep, claim.name,
                            options.times > 1 ? fmt::format("-{}", result.times) : "");
            std::FILE* const stream = open_csv(file);
            fmt::print(stream, "{}{}: {}\n", text, name_of(verdict), trial.finding.figure);
            close_csv(stream, file);
        }
        if (!options.show.empty()) {
            fmt::print("{}", text);
        }
    }
    result.took = steady_clock::now() - start;
    return result;
}

/// What a result says, in lines of at most 80 columns.
std::string to_text(const Result& result, bool by_hand_too) {
    constexpr std::size_t failures_shown = 3;
    const Claim& claim = *result.claim;
    const Finding& finding = result.trial.finding;
    std::string text = wrapped(
        fmt::format("{}  ", name_of(result.verdict)),
        fmt::format(
            "{}{}", claim.goal,
            result.times > 1 ? fmt::format(" ({} of {})", result.passed, result.times) : ""));
    if (result.verdict == Verdict::pass) {
        return text;
    }
    std::string got = finding.figure;
    if (result.trial.crashed()) {
        got += fmt::format(", and the server exited with status {}",
                           result.trial.exit_status.value_or(-1));
    }
    if (result.verdict == Verdict::unknown) {
        return text + wrapped("      ", got);
    }
    text += wrapped("      ", fmt::format("expected {}, got {}", claim.expected, got));
    for (std::size_t i = 0; i < std::min(finding.failures.size(), failures_shown); ++i) {
        const Failure& failure = finding.failures[i];
        text += wrapped("      sent      ", request_text(failure.sent));
        text += wrapped("      expected  ", failure.expected);
        text +=
            wrapped("      got       ",
                    failure.got + (failure.by_framework ? " (HTTP libraries decide this)" : ""));
        const std::string command =
            failure.by_hand.empty() ? by_hand(failure.sent) : failure.by_hand;
        if (by_hand_too && !command.empty()) {
            text += fmt::format("      by hand   {}\n", command);  // in one line, to be copied
        }
    }
    if (finding.failures.size() > failures_shown) {
        text += fmt::format("      and {} more\n", finding.failures.size() - failures_shown);
    }
    text += claim.contract.why.empty() ? "" : wrapped("      why       ", claim.contract.why);
    return text;
}

std::string to_json(const Result& result) {
    std::string failures;
    for (const Failure& failure : result.trial.finding.failures) {
        failures += failures.empty() ? "" : ",";
        failures += JsonObject{}
                        .add("sent", request_text(failure.sent))
                        .add("expected", failure.expected)
                        .add("got", failure.got)
                        .add("by_framework", failure.by_framework)
                        .text();
    }
    return JsonObject{}
        .add("name", result.claim->name)
        .add("stage", result.stage)
        .add("sentence", result.claim->goal)
        .add("verdict", name_of(result.verdict))
        .add("expected", result.claim->expected)
        .add("figure", result.trial.finding.figure)
        .add("passed", result.passed)
        .add("times", result.times)
        .add("seconds", result.took.count())
        .add("by_framework", result.by_framework())
        .add_json("failures", "[" + failures + "]")
        .text();
}

/// The claims to test, in stages. Exits with 2 if one of --only does not exist.
std::vector<std::string> names_in(const Options& options) {
    std::vector<std::string> names;
    for (const std::string& only : options.only) {
        std::istringstream list{only};
        for (std::string name; std::getline(list, name, ',');) {
            if (std::none_of(all_claims().begin(), all_claims().end(), [&](const Claim& claim) {
                    return claim.name == name && claim.due_in();
                })) {
                fail(fmt::format("there is no claim '{}'; check --list prints them", name));
            }
            names.push_back(name);
        }
    }
    return names;
}

void print_list() {
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        for (const Claim& claim : all_claims()) {
            if (claim.due_in() == stage) {
                fmt::print("{:>2}  {:<18} {}\n", stage, claim.name, claim.goal);
            }
        }
    }
}

/// "4 to 10", "1, 2 and 4 to 10".
std::string ranges(const std::vector<std::size_t>& stages) {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < stages.size();) {
        std::size_t end = i;
        while (end + 1 < stages.size() && stages[end + 1] == stages[end] + 1) {
            ++end;
        }
        if (end >= i + 2) {
            parts.push_back(fmt::format("{} to {}", stages[i], stages[end]));
        } else {
            for (std::size_t j = i; j <= end; ++j) {
                parts.push_back(std::to_string(stages[j]));
            }
        }
        i = end + 1;
    }
    std::string text;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
    }
    return text;
}

/// The last lines: which stage the server has reached, and what comes next. Stages without claims
/// are reached with the stage before.
std::string summary(const std::vector<Result>& results, std::size_t wanted) {
    const auto worst = [&](std::size_t stage) {
        Verdict verdict = Verdict::pass;
        for (const Result& result : results) {
            if (result.stage == stage && result.verdict != Verdict::pass) {
                verdict = verdict == Verdict::fail ? verdict : result.verdict;
            }
        }
        return verdict;
    };
    const auto passed = static_cast<std::size_t>(
        std::count_if(results.begin(), results.end(),
                      [](const Result& result) { return result.verdict == Verdict::pass; }));
    const bool only_by_framework =
        std::all_of(results.begin(), results.end(), [](const Result& result) {
            return result.verdict == Verdict::pass || result.by_framework();
        });
    std::size_t reached = 0;
    while (reached < wanted && worst(reached + 1) == Verdict::pass) {
        ++reached;
    }
    std::string text = fmt::format("{} of {} claims passed: ", passed, results.size());
    if (reached == wanted) {
        return wrapped("", text + fmt::format("your server has reached stage {}", reached)) +
               (wanted < last_stage ? fmt::format("Next: ./lab notes {}\n", wanted + 1) : "");
    }
    if (only_by_framework) {
        std::vector<std::size_t> hold;
        std::string missing;
        for (std::size_t stage = 1; stage <= wanted; ++stage) {
            if (worst(stage) == Verdict::pass) {
                hold.push_back(stage);
                continue;
            }
            missing += fmt::format("; missing from stage {}:", stage);
            std::string separator = " ";
            for (const Result& result : results) {
                if (result.stage == stage && result.verdict != Verdict::pass) {
                    missing += separator + std::string{result.claim->goal};
                    separator = ", ";
                }
            }
        }
        return wrapped("", text + fmt::format("stage{} {} hold{}{}", hold.size() == 1 ? "" : "s",
                                              ranges(hold), hold.size() == 1 ? "s" : "", missing)) +
               "HTTP libraries decide what is missing; a server with one may have no "
               "choice.\n";
    }
    const bool unknown = worst(reached + 1) == Verdict::unknown;
    return wrapped("", text + fmt::format("your server has reached stage {}{}", reached,
                                          unknown ? fmt::format("; check can't tell about stage {}",
                                                                reached + 1)
                                                  : fmt::format(", not {}", wanted))) +
           (unknown ? ""
                    : fmt::format("Read ./lab notes {} (docs/stage{:02}.md)\n", reached + 1,
                                  reached + 1));
}

/// How to see what the first failing claim sent and received.
std::string hint(const std::vector<Result>& results, const Options& options) {
    const auto failed = std::find_if(results.begin(), results.end(), [](const Result& result) {
        return result.verdict == Verdict::fail;
    });
    return failed == results.end() ? ""
           : options.show.empty()
               ? fmt::format("See it: add --show {}\n", failed->claim->name)
               : "To repeat it by hand, set PORT and start your server on that port.\n";
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CommandLine command_line{
        "Tests your server against the claims of stages 1 to N, and prints which stage it has "
        "reached. Exits with 0 if all claims passed, 1 if one failed, 2 if check can't tell."};
    command_line.add("stage", options.stage, 1, last_stage,
                     "N, the stage that your server should be at; without it, check stops after "
                     "the first stage that the server has not reached");
    add_server_options(command_line, options.server);
    command_line.add("--only", options.only, "test this claim, or several: a,b");
    command_line.add("--show", options.show,
                     "test this claim, and print what was sent and received");
    command_line.add("--times", options.times, 1, 1'000, "test each claim so often");
    command_line.add("--capacity", options.capacity, 0, 100'000,
                     "events that your server's queue holds, to check the limit; 0: unknown");
    command_line.add("--json", options.json,
                     "write the results to this file, a JSON object a line");
    command_line.add("--keep", options.keep, "write each claim's conversation to this directory");
    command_line.add("--stop", options.stop, "stop at the first claim that fails");
    command_line.add("--list", options.list, "list the claims, and test nothing");
    command_line.add("--contract", options.contract, "print what each claim sends and accepts");
    command_line.parse(argc, argv);
    if (options.list || options.contract) {
        options.list ? print_list() : static_cast<void>(fmt::print("{}", contract()));
        finish_output();
        return 0;
    }
    if (!options.show.empty()) {
        options.only = {options.show};
    }
    const std::vector<std::string> names = names_in(options);
    if (!options.keep.empty()) {
        std::error_code failed;
        std::filesystem::create_directories(options.keep, failed);
    }
    std::FILE* const json = options.json.empty() ? nullptr : open_csv(options.json);

    raise_descriptor_limit();
    std::size_t wanted = options.stage > 0 ? options.stage : last_stage;
    std::vector<Result> results;
    bool stopped = false;
    for (std::size_t stage = 1; stage <= wanted; ++stage) {
        bool heading = false;
        bool reached = true;
        for (const Claim& claim : all_claims()) {
            const bool chosen =
                names.empty() || std::count(names.begin(), names.end(), claim.name) > 0;
            if (claim.due_in() != stage || !chosen || stopped) {
                continue;
            }
            if (!heading) {
                fmt::print("stage {}\n", stage);
                std::fflush(stdout);
                heading = true;
            }
            results.push_back(test(claim, stage, options));
            reached = reached &&
                      (results.back().verdict == Verdict::pass || results.back().by_framework());
            stopped = options.stop && results.back().verdict == Verdict::fail &&
                      !results.back().by_framework();
            fmt::print("{}", to_text(results.back(), !options.show.empty()));
            std::fflush(stdout);
            if (json != nullptr) {
                fmt::print(json, "{}\n", to_json(results.back()));
                std::fflush(json);
            }
        }
        if (stopped || (options.stage == 0 && !reached && names.empty())) {
            wanted = stage;
        }
    }
    if (names.empty()) {
        fmt::print("{}", summary(results, wanted));
    } else {
        const auto passed = std::count_if(results.begin(), results.end(), [](const Result& result) {
            return result.verdict == Verdict::pass;
        });
        fmt::print("{} of {} claims passed\n", passed, results.size());
    }
    fmt::print("{}", hint(results, options));
    if (json != nullptr) {
        close_csv(json, options.json);
    }
    finish_output();
    const auto any = [&](Verdict verdict) {
        return std::any_of(results.begin(), results.end(),
                           [&](const Result& result) { return result.verdict == verdict; });
    };
    return any(Verdict::fail) ? 1 : any(Verdict::unknown) || results.empty() ? 2 : 0;
}
