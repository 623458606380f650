#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <regex>

#include "clients/claims/trial.hpp"
#include "common/source_tree.hpp"

// Checks that each exercise names a claim and a command that judge it, and has an answer that runs.
using namespace unfreeze;
using std::filesystem::path;

namespace {

using Lines = std::vector<std::string>;

/// A task: the text after a ### heading, up to the next heading.
struct Task {
    std::string title;
    std::string text;
};

/// The section "## Exercises" of a note.
struct Exercises {
    std::string introduction;
    std::vector<Task> tasks;
};

Exercises exercises_of(std::size_t stage) {
    const Lines note = lines_of(source_tree / "docs" / fmt::format("stage{:02}.md", stage));
    auto line = std::find(note.begin(), note.end(), "## Exercises");
    Exercises exercises;
    for (line = line == note.end() ? line : line + 1;
         line != note.end() && !line->starts_with("## "); ++line) {
        if (line->starts_with("### ")) {
            exercises.tasks.push_back({line->substr(4), ""});
        } else {
            (exercises.tasks.empty() ? exercises.introduction : exercises.tasks.back().text) +=
                *line + "\n";
        }
    }
    return exercises;
}

/// The name of an exercise for ./lab: its title in lower case, with hyphens instead of everything
/// that is not a letter or a digit.
std::string name_of(std::string title) {
    std::transform(title.begin(), title.end(), title.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::regex_replace(title, std::regex{"[^a-z0-9]+"}, "-");
}

/// The words in backticks between `begin` and the end of its sentence, even across line breaks.
Lines quoted(std::string text, const std::string& begin) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    const std::size_t at = text.find(begin);
    const std::string sentence = at == text.npos ? "" : text.substr(at, text.find('.', at) - at);
    const std::regex name{"`([^`]+)`"};
    Lines found;
    for (std::sregex_iterator match{sentence.begin(), sentence.end(), name}, last; match != last;
         ++match) {
        found.push_back((*match)[1]);
    }
    return found;
}

/// The claims that hold from a stage on, or up to the one before.
Lines claims_of(std::size_t stage) {
    Lines names;
    for (const Claim& claim : all_claims()) {
        if (claim.first_stage == stage || claim.last_stage + 1 == stage) {
            names.emplace_back(claim.name);
        }
    }
    return names;
}

/// The variants that an answer runs, by their patches' names.
Lines variants_in(const std::string& answer) {
    const std::regex run{"--variant ([a-z0-9-]+)|stage\\d\\d_variant_([a-z0-9_]+)"};
    Lines names;
    for (std::sregex_iterator match{answer.begin(), answer.end(), run}, last; match != last;
         ++match) {
        std::string name = (*match)[1].matched ? (*match)[1] : (*match)[2];
        std::replace(name.begin(), name.end(), '_', '-');
        names.push_back(name);
    }
    return names;
}

/// The text of a <details> part. Empty if there is none, or more than one.
std::string folded(const std::string& text, const std::string& summary) {
    const std::string begin = "<details><summary>" + summary + "</summary>\n";
    const std::size_t at = text.find(begin);
    if (at == text.npos || text.find(begin, at + 1) != text.npos) {
        return "";
    }
    const std::size_t end = text.find("</details>\n", at);
    return end == text.npos ? "" : text.substr(at + begin.size(), end - at - begin.size());
}

}  // namespace

TEST_CASE(
    "Every note ends with two or three exercises, and names the claims that begin or end at its "
    "stage") {
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        INFO("stage " << stage);
        const Exercises exercises = exercises_of(stage);
        CHECK(quoted(exercises.introduction, "The claims that begin or end here: ") ==
              claims_of(stage));
        CHECK(exercises.tasks.size() >= 2);
        CHECK(exercises.tasks.size() <= 3);
    }
}

TEST_CASE(
    "Every exercise is judged by a claim, and its answer runs a variant that changes the result") {
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        const std::string directory{course_servers.at(stage - 1).name};
        for (const Task& task : exercises_of(stage).tasks) {
            INFO("stage " << stage << ": " << task.title);
            const std::string what_to_do = task.text.substr(0, task.text.find("<details>"));
            const Lines judges = quoted(what_to_do, "Judged by ");
            CHECK(!judges.empty());
            for (const std::string& judge : judges) {
                INFO(judge);
                CHECK(std::any_of(all_claims().begin(), all_claims().end(),
                                  [&](const Claim& claim) { return claim.name == judge; }));
            }
            const std::string command =
                fmt::format("```console\n$ ./lab exercise {} {}\n", stage, name_of(task.title));
            INFO(command);
            CHECK(what_to_do.find(command) != what_to_do.npos);
            CHECK(!folded(task.text, "Hint").empty());
            const std::string answer = folded(task.text, "Answer");
            CHECK(!answer.empty());
            const Lines variants = variants_in(answer);
            CHECK(!variants.empty());
            for (const std::string& variant : variants) {
                INFO(variant);
                const path patch = source_tree / directory / "variants" / (variant + ".patch");
                REQUIRE(exists(patch));
                const std::string heading = lines_of(patch).front();
                CHECK((heading.ends_with(": no claim fails.") ||
                       std::any_of(judges.begin(), judges.end(), [&](const std::string& judge) {
                           return heading.find("`" + judge + "`") != heading.npos;
                       })));
            }
        }
    }
}
