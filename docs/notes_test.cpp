#include <regex>

#include "clients/black_box.hpp"
#include "common/source_tree.hpp"

// What the notes show is what the files say.
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

}  // namespace

TEST_CASE("Every C++ block of a note stands in the file that is named before it") {
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
        CHECK(!std::regex_search(text_of(page), std::regex{"@[A-Z]+@"}));  // left to be filled in
        const std::string text =
            std::regex_replace(text_of(page), std::regex{"```[^`]*```"}, "");  // but code
        for (std::sregex_iterator match{text.begin(), text.end(), link}, end; match != end;
             ++match) {
            INFO(page << ": " << (*match)[1]);
            CHECK(std::filesystem::exists(page.parent_path() / std::string{(*match)[1]}));
            ++links;
        }
    }
    CHECK(links > 5);
}

TEST_CASE("Every picture was drawn from the figures that lie beside it") {
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
        CHECK(output_of("sha256sum <" + figures.string()) == match[2].str() + "  -\nexit 0\n");
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
                                            "Questions"};
    const auto rooms = entries_of(source_tree, [](const path& entry) {
        return entry.filename().string().starts_with("stage");
    });
    for (const path& room : rooms) {
        const std::string name = room.filename().string().substr(0, 7);
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
