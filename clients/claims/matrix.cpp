// Tests all servers of the course against all claims, and prints a table: a row for each claim, a
// column for each stage, and the measured figure in each cell.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <future>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "clients/claims/trial.hpp"
#include "clients/probe/course.hpp"
#include "clients/probe/process.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/json.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;

struct Options {
    std::size_t stage = 0;  // 0: all stages
    std::string spawn;      // replaces the server of `stage`
    std::vector<std::string> goals;
    std::string json = "/dev/null";
    std::string markdown = "/dev/null";
    std::size_t jobs = 4;
};

struct Cell {
    std::size_t stage;
    Trial trial;

    bool as_expected() const { return trial.as_expected(stage); }

    /// ✓ or – for a claim that holds or does not, ✗ if that is not as expected; and the figure.
    std::string text() const {
        return fmt::format("{} {}",
                           !as_expected()        ? "✗"
                           : trial.finding.holds ? "✓"
                                                 : "–",
                           trial.crashed() ? "exited" : trial.finding.summary);
    }
};

/// A cell for each claim and stage, claim by claim.
std::vector<Cell> empty_cells(const Options& options) {
    std::vector<Cell> cells;
    for (const Claim& claim : all_claims()) {
        for (std::size_t stage = 1; stage <= last_stage; ++stage) {
            if (options.stage == 0 || options.stage == stage) {
                cells.push_back({stage, {&claim, {}}});
            }
        }
    }
    return cells;
}

/// Tests the cells whose claims are exclusive, or those whose claims are not, on this many threads.
/// Throws std::runtime_error if a server does not start, after the other threads have finished
/// their present cell.
void try_cells(std::vector<Cell>& cells, bool exclusive, std::size_t jobs, const Options& options) {
    std::atomic<std::size_t> next = 0;
    const auto try_next = [&] {
        for (std::size_t i = next++; i < cells.size(); i = next++) {
            Cell& cell = cells[i];
            if (cell.trial.claim->traits.exclusive != exclusive) {
                continue;
            }
            const std::string_view server = course_servers.at(cell.stage - 1).name;
            const bool spawned = !options.spawn.empty();
            try {
                cell.trial =
                    try_claim(*cell.trial.claim,
                              spawned ? options.spawn : course_command(cell.stage, server));
            } catch (const std::exception& error) {
                next = cells.size();
                throw std::runtime_error{fmt::format(
                    "no server from '{}': {}", spawned ? options.spawn : server, error.what())};
            }
        }
    };
    std::vector<std::future<void>> threads;
    try {
        while (threads.size() < jobs) {
            threads.push_back(std::async(std::launch::async, try_next));
        }
    } catch (const std::system_error& error) {
        next = cells.size();
        throw std::system_error{error.code(), "no more threads can be started"};
    }
    for (std::future<void>& thread : threads) {
        thread.get();
    }
}

/// The header, and then a row for each claim: its first column and its cells.
template <typename FirstColumn>
std::vector<std::vector<std::string>> table(const std::vector<Cell>& cells,
                                            FirstColumn first_column) {
    std::vector<std::vector<std::string>> lines{{"claim"}};
    const Claim* claim = nullptr;
    for (const Cell& cell : cells) {
        if (cell.trial.claim != claim) {
            claim = cell.trial.claim;
            lines.push_back({first_column(*claim)});
        }
        if (lines.size() == 2) {
            lines.front().push_back(std::to_string(cell.stage));
        }
        lines.back().push_back(cell.text());
    }
    return lines;
}

std::string to_text(const std::vector<Cell>& cells) {
    const auto lines = table(cells, [](const Claim& claim) { return std::string{claim.name}; });
    std::vector<std::size_t> widths(lines.front().size());
    const auto width = [](const std::string& text) {
        return static_cast<std::size_t>(std::count_if(
            text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));  // UTF-8
    };
    for (const auto& line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            widths[i] = std::max(widths[i], width(line[i]));
        }
    }
    std::string text;
    for (const auto& line : lines) {
        for (std::size_t i = 0; i + 1 < line.size(); ++i) {
            text += line[i] + std::string(widths[i] - width(line[i]) + 2, ' ');
        }
        text += line.back() + "\n";
    }
    return text;
}

std::string to_markdown(const std::vector<Cell>& cells) {
    auto lines = table(cells, [](const Claim& claim) { return std::string{claim.sentence}; });
    lines.insert(lines.begin() + 1, std::vector<std::string>(lines.front().size(), "---"));
    std::string text;
    for (const auto& line : lines) {
        text += fmt::format("| {} |\n", fmt::join(line, " | "));
    }
    return text;
}

std::string to_json(const std::vector<Cell>& cells) {
    std::vector<std::string> lines;
    for (const Cell& cell : cells) {
        const auto& [claim, finding, ended, exit_status] = cell.trial;
        lines.push_back(JsonObject{}
                            .add("claim", claim->name)
                            .add("sentence", claim->sentence)
                            .add("stage", cell.stage)
                            .add("holds", finding.holds)
                            .add("as_expected", cell.as_expected())
                            .add("summary", finding.summary)
                            .add("figure", finding.figure)
                            .text());
    }
    return fmt::format("[\n{}\n]\n", fmt::join(lines, ",\n"));
}

/// The claims whose results an exercise is to change: no other result may change.
using Goal = std::vector<std::string>;

/// Reads "slow-work,accepted-at-once", or "none". Exits with 2 if there is no such claim.
Goal to_goal(const std::string& names) {
    Goal goal;
    std::istringstream stream{names == "none" ? "" : names};
    for (std::string name; std::getline(stream, name, ',');) {
        if (std::none_of(all_claims().begin(), all_claims().end(),
                         [&](const Claim& claim) { return claim.name == name; })) {
            fail(fmt::format("--goal: there is no claim '{}'", name));
        }
        goal.push_back(name);
    }
    return goal;
}

/// A sentence for each claim whose result keeps the goal from being reached.
std::vector<std::string> missing(const std::vector<Cell>& cells, const Goal& goal) {
    std::vector<std::string> sentences;
    for (const Cell& cell : cells) {
        const auto& [claim, finding, ended, exit_status] = cell.trial;
        const bool wanted = std::count(goal.begin(), goal.end(), claim->name) > 0;
        const bool changed = finding.holds != claim->holds_in(cell.stage);
        const char* const result = finding.holds ? "holds" : "fails";
        if (cell.trial.crashed()) {
            sentences.push_back(fmt::format("the server exited when `{}` was tested", claim->name));
        } else if (wanted && !changed) {
            sentences.push_back(
                fmt::format("`{}` still {}: {}", claim->name, result, finding.figure));
        } else if (!wanted && !cell.as_expected()) {
            sentences.push_back(fmt::format("`{}` should not change, but now {}: {}", claim->name,
                                            result, finding.figure));
        }
    }
    return sentences;
}

/// Says whether one of the goals is reached, and if not, what is missing for the nearest.
bool print_verdict(const std::vector<Cell>& cells, const std::vector<std::string>& goals) {
    std::optional<std::vector<std::string>> least;
    for (const std::string& names : goals) {
        const Goal goal = to_goal(names);
        const std::vector<std::string> sentences = missing(cells, goal);
        if (sentences.empty()) {
            std::string changes;
            for (const Cell& cell : cells) {
                if (!cell.as_expected()) {
                    changes += fmt::format("`{}` now {}, ", cell.trial.claim->name,
                                           cell.trial.finding.holds ? "holds" : "fails");
                }
            }
            fmt::print("{}\n", changes.empty()
                                   ? "No result changed, which is the goal."
                                   : "Solved: " + changes + "and no other result changed.");
            return true;
        }
        if (!least || sentences.size() < least->size()) {
            least = sentences;
        }
    }
    for (const std::string& sentence : *least) {
        fmt::print("Not yet: {}.\n", sentence);
    }
    return false;
}

void write(const std::string& file, const std::string& text) {
    std::FILE* const stream = open_csv(file);
    std::fputs(text.c_str(), stream);
    close_csv(stream, file);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CommandLine command_line{"Tests every server of the course against every claim of the course."};
    command_line.add("--stage", options.stage, 1, last_stage, "test this stage only");
    command_line.add("--spawn", options.spawn,
                     "with --stage: command that starts a server to test instead of that stage's");
    command_line.add("--goal", options.goals,
                     "with --stage: claims whose results are to change, such as 'a,b' or 'none'; "
                     "any one goal will do");
    command_line.add("--markdown", options.markdown, "write the table to this file");
    command_line.add("--json", options.json, "write all results to this file");
    command_line.add("--jobs", options.jobs, 1, 64,
                     "servers to test in parallel; claims that measure time run one at a time");
    command_line.parse(argc, argv);
    if (!options.spawn.empty() && options.stage == 0) {
        fail("--spawn needs --stage to say which stage it replaces");
    }
    if (!options.goals.empty() && options.stage == 0) {
        fail("--goal needs --stage to say which stage is to change");
    }
    std::for_each(options.goals.begin(), options.goals.end(), to_goal);

    raise_descriptor_limit();
    std::vector<Cell> cells = empty_cells(options);
    try {
        try_cells(cells, false, options.jobs, options);
        try_cells(cells, true, 1, options);
    } catch (const std::exception& error) {
        fail(error.what());
    }
    fmt::print("{}", to_text(cells));
    write(options.markdown, to_markdown(cells));
    write(options.json, to_json(cells));
    if (!options.goals.empty()) {
        const bool solved = print_verdict(cells, options.goals);
        finish_output();
        return solved ? 0 : 1;
    }

    std::size_t failed = 0;
    for (const Cell& cell : cells) {
        const Claim& claim = *cell.trial.claim;
        if (!cell.as_expected()) {
            ++failed;
            fmt::print("NOT AS EXPECTED: `{}` in stage {}: {}{}; it is true {}\n", claim.name,
                       cell.stage, cell.trial.finding.figure,
                       cell.trial.crashed() ? ", and the server exited" : "", claim.range());
        }
    }
    fmt::print("{} of {} cells as expected\n", cells.size() - failed, cells.size());
    finish_output();
    return failed == 0 ? 0 : 1;
}
