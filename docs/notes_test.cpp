#include <algorithm>
#include <cmath>
#include <regex>
#include <set>

#include "clients/probe/black_box.hpp"
#include "common/source_tree.hpp"

// Checks that the notes agree with the files that they cite.
using namespace unfreeze;
using std::filesystem::path;

namespace {

std::vector<path> pages() {
    std::vector<path> all{source_tree / "README.md"};
    for (const path& directory : {source_tree / "docs", source_tree / "docs" / "decisions"}) {
        const auto found =
            entries_of(directory, [](const path& entry) { return entry.extension() == ".md"; });
        all.insert(all.end(), found.begin(), found.end());
    }
    return all;
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
    std::vector<std::string> lines = {};  // without commands and table headers
};

std::vector<Figures> figures_in_pages() {
    const std::regex comment{"<!-- figures: (results/\\w+\\.csv) -->"};
    std::vector<Figures> all;
    for (const path& page : pages()) {
        const std::vector<std::string> lines = lines_of(page);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            std::smatch match;
            if (!std::regex_match(lines[i], match, comment)) {
                CHECK(!lines[i].starts_with("<!-- figures"));  // a malformed comment
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
    const std::regex link{"\\]\\(([^)#:]+)(#[^)]*)?\\)"};
    std::size_t links = 0;
    for (const path& page : pages()) {
        CHECK(!std::regex_search(text_of(page), std::regex{"@[A-Z]+@"}));  // a placeholder
        const std::string text =
            std::regex_replace(text_of(page), std::regex{"```[^`]*```"}, "");  // without code
        for (std::sregex_iterator match{text.begin(), text.end(), link}, end; match != end;
             ++match) {
            INFO(page << ": " << (*match)[1]);
            CHECK(std::filesystem::exists(page.parent_path() / std::string{(*match)[1]}));
            ++links;
        }
    }
    CHECK(links > 5);
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

TEST_CASE("Every file of figures is shown in a note, as numbers or as a picture") {
    std::set<path> shown;
    for (const Figures& figures : figures_in_pages()) {
        shown.insert(figures.csv.filename());
    }
    const std::regex picture{"\\]\\([a-z/]*results/(\\w+)\\.svg\\)"};
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

TEST_CASE("Every stage has its note, with the same headings in the same order") {
    const std::vector<std::string> headings{"What is new",
                                            "What is still wrong",
                                            "Predict",
                                            "Run",
                                            "The diff, explained",
                                            "What others learn the hard way",
                                            "What production does",
                                            "Questions",
                                            "Exercises"};
    const auto directories = entries_of(source_tree, [](const path& entry) {
        return entry.filename().string().starts_with("stage");
    });
    for (const path& directory : directories) {
        const std::string name = directory.filename().string().substr(0, 7);
        const std::vector<std::string> lines = lines_of(source_tree / "docs" / (name + ".md"));
        INFO(name);
        REQUIRE(!lines.empty());
        CHECK(lines.front().starts_with("# Stage " + std::to_string(std::stoi(name.substr(5))) +
                                        ": "));
        std::vector<std::string> found;
        for (const std::string& line : lines) {
            if (line.starts_with("## ")) {
                found.push_back(line.substr(3));
            }
        }
        CHECK(found == headings);
    }
}
