#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "clients/probe/black_box.hpp"
#include "clients/probe/course.hpp"
#include "common/source_tree.hpp"

// Checks the form of the notes, and that they agree with the files that they cite.
using namespace unfreeze;
using std::filesystem::path;

namespace {

using Lines = std::vector<std::string>;

/// The pages of a folder in docs/; none if it does not exist.
std::vector<path> pages_in(const path& folder) {
    const path directory = source_tree / "docs" / folder;
    return exists(directory)
               ? entries_of(directory, [](const path& entry) { return entry.extension() == ".md"; })
               : std::vector<path>{};
}

std::vector<path> pages() {
    std::vector<path> all{source_tree / "README.md", source_tree / "CONTRIBUTING.md"};
    for (const char* const folder : {"", "decisions", "deeper"}) {
        const auto found = pages_in(folder);
        all.insert(all.end(), found.begin(), found.end());
    }
    return all;
}

/// The files that a page links to.
std::vector<path> links_of(const path& page) {
    static const std::regex link{"\\]\\(([^)#:]+)(#[^)]*)?\\)"};
    const std::string text =
        std::regex_replace(text_of(page), std::regex{"```[^`]*```"}, "");  // without code
    std::vector<path> files;
    for (std::sregex_iterator match{text.begin(), text.end(), link}, end; match != end; ++match) {
        files.push_back((page.parent_path() / (*match)[1].str()).lexically_normal());
    }
    return files;
}

/// A number as a note shows it.
struct Shown {
    double value;
    std::size_t decimals;
};

/// The numbers of a line, except those that are part of a word. A comma may separate thousands.
std::vector<Shown> numbers_in(std::string line) {
    line = std::regex_replace(line, std::regex{"(\\d),(?=\\d{3}(?!\\d))"}, "$1");
    const std::regex word_or_number{"[\\w.]*[A-Za-z_][\\w.]*|(\\d+(\\.(\\d+))?)"};
    std::vector<Shown> numbers;
    for (std::sregex_iterator match{line.begin(), line.end(), word_or_number}, end; match != end;
         ++match) {
        if ((*match)[1].matched) {
            numbers.push_back({std::stod(match->str()), (*match)[3].str().size()});
        }
    }
    return numbers;
}

/// The numbers of each row but the first, which names the columns.
std::vector<std::vector<Shown>> rows_of(const path& csv) {
    std::vector<std::vector<Shown>> rows;
    for (const std::string& line : lines_of(csv)) {
        rows.push_back(numbers_in(std::regex_replace(line, std::regex{","}, " ")));
    }
    rows.erase(rows.begin());
    return rows;
}

/// Whether a row has all the numbers of a line, in the same order, rounded to what the line shows.
bool has_all(const std::vector<Shown>& row, const std::vector<Shown>& line) {
    auto rest = row.begin();
    for (const Shown& shown : line) {
        const double half = 0.5 * std::pow(10, -static_cast<double>(shown.decimals)) + 1e-9;
        const auto found = std::find_if(rest, row.end(), [&](const Shown& measured) {
            return std::abs(measured.value - shown.value) <= half;
        });
        if (found == row.end()) {
            return false;
        }
        rest = found + 1;
    }
    return true;
}

/// The table or block of figures after a comment that names their file.
struct Figures {
    path page;
    path csv;
    Lines lines = {};  // without commands and table headers
};

std::vector<Figures> figures_in_pages() {
    const std::regex comment{"<!-- figures: (results/\\w+\\.csv) -->"};
    std::vector<Figures> all;
    for (const path& page : pages()) {
        const std::vector<std::string> lines = lines_of(page);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            std::smatch match;
            if (!std::regex_match(lines[i], match, comment)) {
                CHECK((!lines[i].starts_with("<!-- figures") ||  // a malformed comment
                       lines[i].starts_with("<!-- figures in prose: ")));
                continue;
            }
            Figures& figures =
                all.emplace_back(Figures{page, source_tree / "docs" / match[1].str()});
            if (++i < lines.size() && lines[i].starts_with("```")) {
                while (++i < lines.size() && lines[i] != "```") {
                    if (!lines[i].starts_with("$ ")) {
                        figures.lines.push_back(lines[i]);
                    }
                }
            } else {
                for (++i; ++i < lines.size() && lines[i].starts_with("|");) {
                    figures.lines.push_back(lines[i]);
                }
            }
        }
    }
    return all;
}

/// A comment such as <!-- figures in prose: results/x.csv: 1.47, 1,530 -->, and the paragraph after
/// it.
struct Prose {
    path page;
    path csv;
    Lines numbers = {};
    std::string paragraph = {};
};

std::vector<Prose> prose_in_pages() {
    const std::regex comment{
        "<!-- figures in prose: (results/\\w+\\.csv): (\\d[\\d.,]*(, \\d[\\d.,]*)*) -->"};
    const std::regex separator{", "};
    std::vector<Prose> all;
    for (const path& page : pages()) {
        const Lines lines = lines_of(page);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            std::smatch match;
            if (!std::regex_match(lines[i], match, comment)) {
                CHECK(!lines[i].starts_with("<!-- figures in"));  // a malformed comment
                continue;
            }
            Prose& prose = all.emplace_back(Prose{page, source_tree / "docs" / match[1].str()});
            const std::string list = match[2];
            prose.numbers.assign(
                std::sregex_token_iterator{list.begin(), list.end(), separator, -1}, {});
            std::size_t next = i + 1;
            while (next < lines.size() && lines[next].empty()) {
                ++next;
            }
            for (; next < lines.size() && !lines[next].empty(); ++next) {
                prose.paragraph += lines[next] + "\n";
            }
        }
    }
    return all;
}

/// Whether a text has this number, not only as a part of a longer one.
bool shows(const std::string& text, const std::string& number) {
    const std::string escaped = std::regex_replace(number, std::regex{"\\."}, "\\.");
    return std::regex_search(text, std::regex{"(^|[^\\d.,])" + escaped + "(?![0-9]|[.,][0-9])"});
}

/// A note, split at its headings.
struct Note {
    std::string title;
    Lines headings = {};
    std::map<std::string, Lines> sections = {};  // by heading; "" is the part before the first one
    std::size_t words = 0;                       // before "## Questions", as wc -w counts them

    explicit Note(std::size_t stage);

    /// Empty if the note has no such heading.
    Lines section(const std::string& heading) const {
        const auto found = sections.find(heading);
        return found == sections.end() ? Lines{} : found->second;
    }
};

Note::Note(std::size_t stage) {
    bool in_block = false;
    bool counts = true;
    std::string heading;
    for (const std::string& line :
         lines_of(source_tree / "docs" / fmt::format("stage{:02}.md", stage))) {
        in_block = in_block != line.starts_with("```");
        if (!in_block && line.starts_with("# ")) {
            title = line.substr(2);
        } else if (!in_block && line.starts_with("## ")) {
            heading = line.substr(3);
            headings.push_back(heading);
            counts = counts && heading != "Questions";
        } else {
            sections[heading].push_back(line);
        }
        std::istringstream in{counts ? line : ""};
        words +=
            static_cast<std::size_t>(std::distance(std::istream_iterator<std::string>{in}, {}));
    }
}

constexpr std::size_t note_words_max = 1'500;
constexpr std::size_t readme_lines_max = 80;

/// The drawing of a server: "stage01" to "stage10", or "pipeline".
Lines drawing_of(const std::string& name) {
    return lines_of(source_tree / "docs" / "structure" / (name + ".txt"));
}

/// A line and a column, counted from 0.
using Place = std::pair<std::size_t, std::size_t>;

/// The first words in the boxes of a drawing, and their places. *sessions* counts as *session*.
std::map<std::string, std::set<Place>> parts_of(const Lines& drawing) {
    const std::regex part{"(│|║) *([a-z]+?)s?[ │║]"};
    std::map<std::string, std::set<Place>> parts;
    for (std::size_t row = 0; row < drawing.size(); ++row) {
        const std::string& line = drawing[row];
        for (std::sregex_iterator match{line.begin(), line.end(), part}, end; match != end;
             ++match) {
            const auto column = std::count_if(line.begin(), (*match)[2].first, [](char c) {
                return (c & 0xC0) != 0x80;  // the first byte of a character in UTF-8
            });
            parts[(*match)[2]].emplace(row, static_cast<std::size_t>(column));
        }
    }
    return parts;
}

/// The numbers that the matches of a pattern capture, sorted.
std::vector<int> numbers_of(const Lines& lines, const std::regex& pattern) {
    std::vector<int> numbers;
    for (const std::string& line : lines) {
        std::smatch match;
        if (std::regex_search(line, match, pattern)) {
            numbers.push_back(std::stoi(match[1]));
        }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

}  // namespace

TEST_CASE("Every C++ block of a note is in the file that is named before it") {
    const std::regex file_name{"`([a-z0-9_/]+\\.[ch]pp)`"};
    std::size_t blocks = 0;
    for (const path& page : pages()) {
        std::string named;  // the file last named in the page
        std::string block;
        bool in_block = false;
        for (const std::string& line : lines_of(page)) {
            if (!in_block && line == "```cpp") {
                in_block = true;
                block.clear();
            } else if (in_block && line == "```") {
                in_block = false;
                ++blocks;
                INFO(page << ", from " << named << ":\n" << block);
                REQUIRE(!named.empty());
                CHECK(text_of(source_tree / named).find(block) != std::string::npos);
            } else if (in_block) {
                block += line + "\n";
            } else {
                std::smatch match;
                if (std::regex_search(line, match, file_name)) {
                    named = match[1];
                }
            }
        }
        CHECK(!in_block);
    }
    CHECK(blocks > 5);
}

TEST_CASE("Every file and page that a note links to exists") {
    std::size_t links = 0;
    for (const path& page : pages()) {
        CHECK(!std::regex_search(text_of(page), std::regex{"@[A-Z]+@"}));  // a placeholder
        for (const path& file : links_of(page)) {
            INFO(page << ": " << file);
            CHECK(exists(file));
            ++links;
        }
    }
    CHECK(links > 5);
}

TEST_CASE("Every deeper page has a question as its title, links back, and is linked") {
    std::set<path> linked;
    for (const path& page : pages()) {
        for (const path& file : links_of(page)) {
            if (file != page) {
                linked.insert(file);
            }
        }
    }
    for (const path& page : pages_in("deeper")) {
        INFO(page);
        const Lines lines = lines_of(page);
        REQUIRE(lines.size() > 2);
        CHECK(std::regex_match(lines[0], std::regex{"# [A-Z`][^?]*\\?"}));
        CHECK(std::regex_match(lines[2], std::regex{"\\[.+\\]\\(.+\\).* leads? here\\."}));
        CHECK(linked.contains(page));
    }
}

TEST_CASE("Every cited table of figures in a note has its rows in the cited file") {
    const std::vector<Figures> all = figures_in_pages();
    for (const auto& [page, csv, lines] : all) {
        INFO(page << " cites " << csv);
        REQUIRE(std::filesystem::exists(csv));
        const std::vector<std::vector<Shown>> rows = rows_of(csv);
        std::size_t seen = 0;
        for (const std::string& line : lines) {
            const std::vector<Shown> numbers = numbers_in(line);
            INFO(line);
            CHECK((numbers.empty() || std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
                       return has_all(row, numbers);
                   })));
            seen += numbers.empty() ? 0 : 1;
        }
        CHECK(seen > 0);
    }
    CHECK(all.size() > 5);
}

TEST_CASE("Every cited figure of a paragraph is in the cited file") {
    for (const auto& [page, csv, numbers, paragraph] : prose_in_pages()) {
        INFO(page << " cites " << csv << " before:\n" << paragraph);
        REQUIRE(exists(csv));
        const std::vector<std::vector<Shown>> rows = rows_of(csv);
        for (const std::string& number : numbers) {
            INFO(number);
            CHECK(shows(paragraph, number));
            CHECK(std::any_of(rows.begin(), rows.end(),
                              [&](const auto& row) { return has_all(row, numbers_in(number)); }));
        }
    }
}

TEST_CASE("A paragraph shows a number, but not a part of a longer one") {
    for (const char* const text :
         {"1.47", "takes 1.47 kB", "(1.47)", "1.47, or more", "It is 1.47.", "~1.47\n"}) {
        INFO(text);
        CHECK(shows(text, "1.47"));
    }
    for (const char* const text : {"1.470", "11.47", "2,1.47", "1.47.1", "1x47", "1.4"}) {
        INFO(text);
        CHECK(!shows(text, "1.47"));
    }
}

TEST_CASE("Every file of figures is shown in a note, as numbers or as a picture") {
    std::set<path> shown;
    for (const Figures& figures : figures_in_pages()) {
        shown.insert(figures.csv.filename());
    }
    for (const Prose& prose : prose_in_pages()) {
        shown.insert(prose.csv.filename());
    }
    const std::regex picture{"\\]\\([a-z./]*results/(\\w+)\\.svg\\)"};
    for (const path& page : pages()) {
        const std::string text = text_of(page);
        for (std::sregex_iterator match{text.begin(), text.end(), picture}, end; match != end;
             ++match) {
            shown.insert((*match)[1].str() + ".csv");
        }
    }
    const auto files = entries_of(source_tree / "docs" / "results",
                                  [](const path& entry) { return entry.extension() == ".csv"; });
    CHECK(!files.empty());
    for (const path& csv : files) {
        INFO(csv);
        CHECK(shown.contains(csv.filename()));
    }
}

TEST_CASE("Figures match a row if they are rounded and in the row's order") {
    const std::vector<Shown> row = numbers_in("lock 16 98.6 1177.6 4 shards");
    for (const char* const line : {"lock 16 98.6 1178 ms", "| 16 | 99 | 1,177.6 ms |", "98.6 4",
                                   "stage02_async p99 16", "4 shards"}) {
        INFO(line);
        CHECK(has_all(row, numbers_in(line)));
    }
    for (const char* const line :
         {"17", "98.7", "98.60 99", "98.6 16", "1,178.0", "16 16", "5x 5"}) {
        INFO(line);
        CHECK(!has_all(row, numbers_in(line)));
    }
}

TEST_CASE("Every picture was drawn from the figures beside it") {
    const auto pictures = entries_of(source_tree / "docs" / "results",
                                     [](const path& entry) { return entry.extension() == ".svg"; });
    CHECK(!pictures.empty());
    for (const path& picture : pictures) {
        INFO(picture);
        std::smatch match;
        const std::string last = lines_of(picture).back();
        REQUIRE(std::regex_match(
            last, match, std::regex{"<!-- drawn from (\\w+\\.csv), sha256 ([0-9a-f]{64}) -->"}));
        const path figures = picture.parent_path() / match[1].str();
        CHECK(output_of("sha256sum <" + shell_word(figures.string())) ==
              match[2].str() + "  -\nexit 0\n");
    }
}

TEST_CASE("Every note has the same form") {
    const Lines headings{"Predict",
                         "Run",
                         "The diff, explained",
                         "Summary",
                         "What others learn the hard way",
                         "What production does",
                         "Questions",
                         "Exercises"};
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        INFO("stage " << stage);
        const Note note{stage};
        CHECK(std::regex_match(note.title, std::regex{fmt::format("Stage {}: [a-z].*", stage)}));
        CHECK(note.headings == headings);

        std::size_t tables = 0;
        std::string before;
        for (const std::string& line : note.section("Summary")) {
            if (line.starts_with("|") && !before.starts_with("|")) {
                CHECK(line == "| problem | cure | what is still wrong |");
                ++tables;
            }
            before = line;
        }
        CHECK(tables == 1);
    }
}

TEST_CASE("Every note shows its server's structure, with what is new, and its timeline") {
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        const std::string name = fmt::format("stage{:02}", stage);
        INFO(name);
        const Lines before_predict = Note{stage}.section("");
        const std::regex picture{fmt::format(
            "!\\[The structure of stage {}\\. .+\\.\\]\\(structure/{}\\.svg\\)", stage, name)};
        CHECK(std::count_if(before_predict.begin(), before_predict.end(), [&](const auto& line) {
                  return std::regex_match(line, picture);
              }) == 1);
        const std::string timeline =
            fmt::format("![The timeline of stage {}](results/timeline_{}.svg)", stage, name);
        CHECK(std::count(before_predict.begin(), before_predict.end(), timeline) == 1);
        const Lines drawing = drawing_of(name);
        CHECK(std::any_of(drawing.begin(), drawing.end(), [](const std::string& line) {
            return std::regex_search(line, std::regex{"\\bnew\\b"});
        }));
    }
    CHECK(text_of(source_tree / "docs" / "pipeline.md").find("](structure/pipeline.svg)") !=
          std::string::npos);
    CHECK(text_of(source_tree / "README.md").find("](docs/results/timeline.svg)") !=
          std::string::npos);
}

TEST_CASE("A part has the same place in the drawings of adjacent stages") {
    Lines names;
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        names.push_back(fmt::format("stage{:02}", stage));
    }
    names.push_back("pipeline");
    std::size_t compared = 0;
    for (std::size_t i = 1; i < names.size(); ++i) {
        const auto before = parts_of(drawing_of(names[i - 1]));
        for (const auto& [part, after] : parts_of(drawing_of(names[i]))) {
            if (const auto found = before.find(part); found != before.end()) {
                INFO(part << " in " << names[i - 1] << " and " << names[i]);
                // There may be more of a part in one drawing, such as workers and locks.
                const auto& [fewer, more] =
                    std::minmax(found->second, after,
                                [](const auto& a, const auto& b) { return a.size() < b.size(); });
                CHECK(std::includes(more.begin(), more.end(), fewer.begin(), fewer.end()));
                ++compared;
            }
        }
    }
    CHECK(compared > 50);
    for (const char* const part : {"listener", "permit", "session", "queue", "worker", "lock",
                                   "balance", "counter", "report", "main"}) {
        INFO(part);
        CHECK(parts_of(drawing_of("stage10")).contains(part));
    }
}

TEST_CASE("Every note answers each of its Predict questions once, before its own Questions") {
    const std::regex question{"^(\\d+)\\. "};
    const std::regex answer{"^\\*\\*Prediction (\\d+)\\.\\*\\*"};
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        INFO("stage " << stage);
        const Note note{stage};
        std::vector<int> answers;
        for (const auto& [heading, lines] : note.sections) {
            const std::vector<int> found = numbers_of(lines, answer);
            CHECK((found.empty() || heading == "Run" || heading == "The diff, explained"));
            answers.insert(answers.end(), found.begin(), found.end());
        }
        std::sort(answers.begin(), answers.end());
        const std::vector<int> questions = numbers_of(note.section("Predict"), question);
        CHECK(questions.size() >= 2);
        CHECK(answers == questions);
    }
}

TEST_CASE("A note can be read in ten minutes, and the README on one screen") {
    for (std::size_t stage = 1; stage <= last_stage; ++stage) {
        INFO("stage " << stage);
        CHECK(Note{stage}.words <= note_words_max);
    }
    CHECK(lines_of(source_tree / "README.md").size() <= readme_lines_max);
}
