#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "clients/probe/black_box.hpp"
#include "common/source_tree.hpp"

// The rules of CONTRIBUTING.md.
using namespace unfreeze;
using std::filesystem::path;

namespace {

/// How many lines may differ between a stage's server.cpp and the one before it. An entry may be
/// lowered, never raised: the diff between adjacent stages is one idea.
constexpr struct {
    int stage;
    int changed_lines;
} diff_budget[] = {{2, 23}, {3, 60}, {4, 43}, {5, 55}, {6, 25},
                   {7, 25}, {8, 21}, {9, 29}, {10, 29}};

constexpr std::size_t server_lines_max = 160;
constexpr std::ptrdiff_t variant_lines_max = 20;

/// A directory with sources, and the other directories that its files may include. A cycle is
/// impossible, because a directory names only directories before it.
struct Component {
    std::string name;
    std::vector<std::string> may_include;
};

std::vector<path> stages() {
    return entries_of(source_tree, [](const path& entry) {
        return entry.filename().string().starts_with("stage");
    });
}

std::vector<Component> components() {
    std::vector<Component> components{
        {"common", {}}, {"common/http", {"common"}}, {"common/net", {"common"}}};
    std::vector<std::string> above{"common", "common/http", "common/net"};
    components.push_back({"clients/probe", above});
    for (const char* const name : {"clients/claims", "clients/faults", "clients/measure"}) {
        components.push_back({name, above});
        components.back().may_include.emplace_back("clients/probe");
    }
    for (const path& stage : stages()) {
        components.push_back({stage.filename(), above});
        above.push_back(stage.filename());
        if (exists(stage / "model_check")) {
            components.push_back({stage.filename() / "model_check", above});
        }
    }
    return components;
}

bool is_source(const path& file) {
    return file.extension() == ".cpp" || file.extension() == ".hpp";
}

std::vector<path> sources(const path& component) { return entries_of(component, is_source); }

bool is_for_tests(const path& file) {
    return file.stem().string().ends_with("_test") || file.filename() == "black_box.hpp";
}

/// Tests may also include common/, clients/, and the model_check/ of their stage.
bool may_include(const Component& component, const std::string& included, bool test) {
    return included == component.name ||
           std::count(component.may_include.begin(), component.may_include.end(), included) > 0 ||
           (test && (included.starts_with("clients/") || included.starts_with("common") ||
                     included == component.name + "/model_check"));
}

}  // namespace

TEST_CASE("A file includes only common/ and earlier directories, and never a server.cpp") {
    const std::regex include{"#include \"([^\"]+)/([^/\"]+)\""};
    std::size_t seen = 0;
    for (const Component& component : components()) {
        for (const path& file : sources(source_tree / component.name)) {
            for (const std::string& line : lines_of(file)) {
                std::smatch match;
                if (!std::regex_search(line, match, include)) {
                    CHECK(!line.starts_with("#include \""));  // each names its directory
                    continue;
                }
                ++seen;
                INFO(file << ": " << line);
                CHECK(may_include(component, match[1], is_for_tests(file)));
                CHECK(match[2] != "server.cpp");
            }
        }
    }
    CHECK(seen > 50);
}

TEST_CASE("Every source is in a listed directory, and none has more than a quarter of all lines") {
    std::map<std::string, std::size_t> lines;
    std::size_t all = 0;
    for (const Component& component : components()) {
        for (const path& file : sources(source_tree / component.name)) {
            const std::size_t count = lines_of(file).size();
            lines[component.name] += count;
            all += count;
        }
    }
    for (const auto& [component, count] : lines) {
        std::printf("%-36s %5zu lines\n", component.c_str(), count);
        INFO(component << ": " << count << " of " << all << " lines");
        CHECK(count * 4 <= all);
    }
    for (const char* const top : {"common", "clients"}) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator{source_tree / top}) {
            if (is_source(entry.path())) {
                const std::string component =
                    relative(entry.path().parent_path(), source_tree).string();
                INFO(entry.path());
                CHECK(lines.contains(component));
            }
        }
    }
}

TEST_CASE("Every server.cpp is short and has the same four sections") {
    for (const path& stage : stages()) {
        INFO(stage);
        const std::vector<std::string> lines = lines_of(stage / "server.cpp");
        CHECK(lines.size() <= server_lines_max);
        std::vector<std::string> sections;
        for (const std::string& line : lines) {
            std::smatch match;
            if (std::regex_match(line, match, std::regex{"// ---- (\\w+) -+"})) {
                sections.push_back(match[1]);
            }
        }
        CHECK(sections == std::vector<std::string>{"options", "handle", "work", "main"});
    }
}

TEST_CASE(
    "Every variant is a small diff, headed by a sentence that names the claim whose result "
    "changes") {
    std::size_t seen = 0;
    for (const path& stage : stages()) {
        if (!exists(stage / "variants")) {
            continue;
        }
        for (const path& patch : entries_of(stage / "variants", [](const path&) { return true; })) {
            INFO(patch);
            CHECK(patch.extension() == ".patch");
            const std::vector<std::string> lines = lines_of(patch);
            CHECK(std::regex_match(
                lines.at(0), std::regex{"[A-Z].*(`[a-z-]+` (fails?|holds?)|no claim fails)\\."}));
            CHECK(lines.at(1).starts_with("--- a/"));
            const auto changed =
                std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
                    return std::regex_search(line, std::regex{"^[+-](?![+-]{2} )"});
                });
            CHECK(changed >= 1);
            CHECK(changed <= variant_lines_max);
            ++seen;
        }
    }
    CHECK(seen >= 4);
}

TEST_CASE("There is one namespace, and no name contains a stage's number") {
    const std::regex stage_name{"stage\\d\\d"};
    for (const path& component : stages()) {
        for (const path& file : sources(component)) {
            if (is_for_tests(file)) {
                continue;
            }
            for (const std::string& line : lines_of(file)) {
                INFO(file << ": " << line);
                const std::string code = line.substr(0, line.find("//"));
                CHECK((line.starts_with("#include") || !std::regex_search(code, stage_name)));
                std::smatch match;
                if (std::regex_search(code, match, std::regex{"namespace (\\w+) \\{"})) {
                    CHECK(match[1] == "unfreeze");
                }
            }
        }
    }
}

TEST_CASE("Only the Date field and the server's start time come from the wall clock") {
    // The wall clock may jump, so no duration is measured with it.
    const std::regex wall_clock{"system_clock|gettimeofday|CLOCK_REALTIME|\\btime\\(nullptr\\)"};
    std::set<std::string> found_in;
    for (const Component& component : components()) {
        for (const path& file : sources(source_tree / component.name)) {
            for (const std::string& line : lines_of(file)) {
                if (!is_for_tests(file) && std::regex_search(line, wall_clock)) {
                    found_in.insert(file.filename());
                }
            }
        }
    }
    CHECK(found_in == std::set<std::string>{"message.cpp", "monitor.cpp"});
}

TEST_CASE("Adjacent servers differ by no more lines than their budget") {
    const std::vector<path> all = stages();
    REQUIRE(all.size() == std::size(diff_budget) + 1);
    for (std::size_t i = 1; i < all.size(); ++i) {
        const auto [stage, budget] = diff_budget[i - 1];
        Process diff{fmt::format("diff {} {} | grep -c '^[<>]'; echo end",
                                 shell_word((all[i - 1] / "server.cpp").string()),
                                 shell_word((all[i] / "server.cpp").string()))};
        REQUIRE(diff.wait_for_output("end"));
        const int changed = std::stoi(diff.output());
        std::printf("stage %d: %d changed lines\n", stage, changed);
        INFO("stage " << stage << ": " << changed << " changed lines, " << budget << " allowed");
        CHECK(changed > 0);
        CHECK(changed <= budget);
        CHECK(budget <= changed);  // lower the entry, because the diff has shrunk
    }
}
