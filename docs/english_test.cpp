#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/source_tree.hpp"

// Searches all texts of the course for phrases that many readers have to read twice: the notes,
// comments, messages, help texts, test names, and the headings of patches.
using namespace unfreeze;
using std::filesystem::path;

namespace {

struct Phrase {
    const char* pattern;  // a regular expression
    const char* instead;
};

constexpr Phrase phrases[] = {
    {R"(\b[Ww]hoever\b)", "name the client, the thread or the reader"},
    {R"(\b[Nn]obody\b)", "no client, no thread, no reader"},
    {R"(\b[Ss]omebody\b)", "name the client, the thread or the reader"},
    {R"(\b[Ss]omeone\b)", "name the client, the thread or the reader"},
    {R"((^|[.!?] )Who [^?!.]*\.)", "begin the sentence with the client, the thread or the reader"},
    {R"((^|[.!?] )What [^?!.:]* (is|are|was|were|comes) [^?!.:]*\.)",
     "begin the sentence with the thing itself"},
    {R"((^|[.!?] )Where there )", "if there"},
    {R"(\b(client|connection|process|program|proxy|server|session|thread|worker)s? who\b)",
     "that: a program is not a person"},
    {R"(\bone who\b)", "name it: a client that"},
    {R"(\bthose who\b)", "name them: clients that"},
    {R"(\bof its own\b)", "its own X, or a separate X"},
    {R"(\bin hand\b)", "in progress, queued, received"},
    {R"(\bfor good\b)", "permanently; until it exits"},
    {R"(\bas it goes\b)", "as fast as possible"},
    {R"((^|[.!?] )As it is,)", "unchanged; before your change"},
    {R"(\ball else\b)", "everything else"},
    {R"(\bto be had\b)", "available"},
    {R"(\bto the letter\b)", "exactly"},
    {R"(\blast words\b)", "last response, last line"},
    {R"(\bowed\b)", "say which response or wake-up is pending"},
    {R"(\b[Bb]ehind (that|this),)", "after that"},
    {R"(, for (it|they|there|he|she|we) )", "because"},
    {R"([,] too\b(?! ))", "also"},
    {R"(\b[Hh]ence\b)", "so"},
    {R"(\b[Tt]hus\b)", "so"},
    {R"(\blest\b)", "so that it does not"},
};

/// The longest part of a pattern that each match contains literally. It makes the search fast.
std::string literal_of(std::string pattern) {
    pattern = std::regex_replace(pattern, std::regex{R"(\\.|\[[^\]]*\][*]?|\(.*?\)[?]?)"}, "\n");
    std::string longest;
    for (std::size_t begin = 0; begin < pattern.size();) {
        const std::size_t end = std::min(pattern.find('\n', begin), pattern.size());
        if (end - begin > longest.size()) {
            longest = pattern.substr(begin, end - begin);
        }
        begin = end + 1;
    }
    return longest;
}

/// Collects passages, one a line: a paragraph, a table cell, a comment, a text in quotation marks.
class Passages {
public:
    void add(std::string_view text) {
        for (const char c : text) {
            if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
                space_ = true;
            } else if (c != '*') {  // Markdown's emphasis
                if (space_ && !text_.ends_with('\n')) {
                    text_ += ' ';
                }
                space_ = false;
                text_ += c;
            }
        }
        space_ = true;
    }

    void end() {
        if (!text_.ends_with('\n')) {
            text_ += '\n';
        }
    }

    const std::string& text() const { return text_; }

private:
    std::string text_ = "\n";
    bool space_ = false;
};

/// Reads the comments and the texts in quotation marks. Code ends a passage, so one that continues
/// on the next line is read as a whole.
void read_cpp(std::string_view code, Passages& passages) {
    const auto find = [&](std::string_view text, std::size_t from) {
        return std::min(code.find(text, from), code.size());
    };
    const auto in_word = [&](std::size_t i) {
        return i > 0 && std::isalnum(static_cast<unsigned char>(code[i - 1])) != 0;
    };
    for (std::size_t i = 0; i < code.size();) {
        const std::string_view rest = code.substr(i);
        if (rest.starts_with("//")) {
            const std::size_t end = find("\n", i);
            const std::size_t begin = std::min(code.find_first_not_of('/', i), end);
            passages.add(code.substr(begin, end - begin));
            i = end;
        } else if (rest.starts_with("R\"") && !in_word(i)) {
            const std::size_t open = find("(", i);
            const std::string close =
                fmt::format("){}\"", code.substr(i + 2, open - std::min(open, i + 2)));
            const std::size_t end = find(close, open);
            passages.add(code.substr(std::min(open + 1, end), end - std::min(open + 1, end)));
            i = end + close.size();
        } else if (rest.starts_with('"')) {
            std::size_t end = i + 1;
            while (end < code.size() && code[end] != '"') {
                end += code[end] == '\\' ? 2 : 1;
            }
            std::string text{code.substr(i + 1, end - i - 1)};
            for (std::size_t at = 0; (at = text.find("\\n", at)) != text.npos;) {
                text.replace(at, 2, "\n");
            }
            passages.add(text);
            i = end + 1;
        } else if (rest.starts_with('\'') && !in_word(i)) {  // and not 10'000
            i = find("'", i + (rest.starts_with("'\\") ? 3 : 2)) + 1;
        } else {
            if (std::isspace(static_cast<unsigned char>(code[i])) == 0) {
                passages.end();
            }
            ++i;
        }
    }
}

/// Reads everything except code blocks and `code`.
void read_markdown(const std::string& text, Passages& passages) {
    bool in_block = false;
    bool in_code = false;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
        const std::string_view rest = std::string_view{line}.substr(begin);
        if (rest.starts_with("```")) {
            in_block = !in_block;
        }
        if (rest.empty() || in_block || rest.starts_with("```") || rest.front() == '#' ||
            rest.front() == '-' || rest.front() == '<' ||
            std::isdigit(static_cast<unsigned char>(rest.front())) != 0) {
            passages.end();
            in_code = false;
        }
        if (in_block || rest.starts_with("```")) {
            continue;
        }
        std::string prose;
        for (const char c : rest) {
            if (c == '`') {
                prose += in_code ? "" : "x";
                in_code = !in_code;
            } else if (!in_code && (c == '|' || c == '<' || c == '>')) {
                passages.add(prose);
                passages.end();
                prose.clear();
            } else if (!in_code) {
                prose += c;
            }
        }
        passages.add(prose);
    }
}

/// Reads a script or another text: a comment, or lines without an empty one between them.
void read_lines(const std::string& text, Passages& passages) {
    bool in_comment = false;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
        const std::string_view rest = std::string_view{line}.substr(begin);
        const bool comment = rest.starts_with('#') || rest.starts_with("--");
        if (rest.empty() || comment != in_comment) {
            passages.end();
        }
        in_comment = comment;
        passages.add(rest.substr(std::min(rest.find_first_not_of("#-"), rest.size())));
    }
}

/// The passages of a file of this name, one a line.
std::string passages_of(const path& file, const std::string& text) {
    Passages passages;
    if (file.extension() == ".md") {
        read_markdown(text, passages);
    } else if (file.extension() == ".cpp" || file.extension() == ".hpp") {
        read_cpp(text, passages);
    } else if (file.extension() == ".patch") {
        std::istringstream in{text};
        std::string added;
        for (std::string line; std::getline(in, line);) {
            if (passages.text() == "\n") {
                passages.add(line);  // the heading
                passages.end();
            } else if (line.starts_with('+')) {
                added += line.substr(1) + "\n";
            }
        }
        read_cpp(added, passages);
    } else {
        read_lines(text, passages);
    }
    passages.end();
    return passages.text();
}

/// The phrases in a text, each with its passage.
std::vector<std::string> faults_in(const path& file, const std::string& text) {
    static const auto searches = [] {
        std::vector<std::pair<std::string, std::regex>> all;
        for (const Phrase& phrase : phrases) {
            all.emplace_back(literal_of(phrase.pattern), phrase.pattern);
        }
        return all;
    }();
    const std::string passages = passages_of(file, text);
    std::vector<std::string> faults;
    for (std::size_t n = 0; n < searches.size(); ++n) {
        const auto& [literal, pattern] = searches[n];
        for (std::size_t at = 0; (at = passages.find(literal, at)) != passages.npos;) {
            const std::size_t begin = passages.rfind('\n', at) + 1;
            const std::size_t end = passages.find('\n', at);
            const std::string passage = passages.substr(begin, end - begin);
            std::smatch match;
            if (std::regex_search(passage, match, pattern)) {
                faults.push_back(fmt::format("\"{}\" (instead: {}) in: {}", match.str(),
                                             phrases[n].instead, passage));
            }
            at = end;
        }
    }
    return faults;
}

/// All texts of the course that people read, without what programs generate.
std::vector<path> texts() {
    const std::vector<std::string> kinds{".md",  ".cpp", ".hpp", ".patch",   ".sh",  ".awk",
                                         ".txt", ".py",  ".lua", ".gnuplot", ".html"};
    std::vector<path> files;
    std::filesystem::recursive_directory_iterator entry{source_tree};
    for (; entry != std::filesystem::recursive_directory_iterator{}; ++entry) {
        const std::string name = entry->path().filename();
        if (entry->is_directory()) {
            if (name.starts_with('.') || name.starts_with("build") || name == "corpus") {
                entry.disable_recursion_pending();
            }
        } else if (name == "lab" ||
                   std::count(kinds.begin(), kinds.end(), entry->path().extension()) > 0) {
            files.push_back(entry->path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

TEST_CASE("No text has a phrase that readers have to read twice") {
    const std::vector<path> files = texts();
    CHECK(files.size() > 200);
    for (const path& file : files) {
        for (const std::string& fault : faults_in(file, text_of(file))) {
            FAIL_CHECK(relative(file, source_tree).string() << ": " << fault);
        }
    }
}

TEST_CASE("A phrase is found in prose, comments and texts, and not in code") {
    // In two pieces, so that this file has none of them.
    const std::string hand = std::string{"in "} + "hand";
    const std::string who = std::string{"Who "} + "waits is served. ";
    const std::string too = std::string{", "} + "too";
    const std::vector<std::pair<path, std::string>> with{
        {"a.md", "The job\n" + hand + ".\n"},
        {"a.md", "| a | " + hand + " |"},
        {"a.md", "First. **" + who + "**"},
        {"a.md", "```\ncode\n```\n" + who},
        {"a.md", "One" + too + "."},
        {"a.cpp", "int a = 10'000;  // the job in\n// " + hand.substr(3)},
        {"a.cpp", "f('\"', \"the job in \"\n  \"" + hand.substr(3) + "\");"},
        {"a.hpp", "/// " + who + "\nint a;"},
        {"a.cpp", "f(R\"(a \" " + hand + ")\");"},
        {"a.patch", "The job " + hand + ".\n--- a/a.cpp\n+++ b/a.cpp\n"},
        {"a.patch", "Heading.\n--- a/a.cpp\n+++ b/a.cpp\n+int a;  // " + hand + "\n"},
        {"lab", "f() {\n    # the job in\n    # " + hand.substr(3) + "\n}\n"},
        {"CMakeLists.txt", "# " + who + "\nset(a)"},
    };
    for (const auto& [file, text] : with) {
        INFO(file << ":\n" << text);
        CHECK(faults_in(file, text).size() == 1);
    }
    const std::vector<std::pair<path, std::string>> without{
        {"a.md", "```\n" + hand + "\n```\n"},
        {"a.md", "`" + hand + "`"},
        {"a.md", "In " + hand.substr(3) + "s."},
        {"a.md", "| in | " + hand.substr(3) + " |"},
        {"a.md", who.substr(0, who.size() - 2) + "?"},
        {"a.md", "Slow" + too + " slow"},
        {"a.cpp", hand + ";"},
        {"a.cpp", "f(\"in\", \"" + hand.substr(3) + "\");"},
        {"a.cpp", "// in\nint a;\n// " + hand.substr(3)},
        {"a.patch", "Heading.\n--- a/a.cpp\n+++ b/a.cpp\n-int a;  // " + hand + "\n"},
        {"lab", "in\n\n" + hand.substr(3)},
    };
    for (const auto& [file, text] : without) {
        INFO(file << ":\n" << text);
        CHECK(faults_in(file, text).empty());
    }
}

TEST_CASE("The literal part of a pattern is its longest one outside groups") {
    CHECK(literal_of(R"(\b[Tt]he jobs\b)") == "he jobs");
    CHECK(literal_of(R"((^|[.!?] )Who [^?!.]*\.)") == "Who ");
    CHECK(literal_of(R"([,] too\b(?! ))") == " too");
    for (const Phrase& phrase : phrases) {
        INFO(phrase.pattern);
        CHECK(literal_of(phrase.pattern).size() >= 3);
    }
}
