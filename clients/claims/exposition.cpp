#include "clients/claims/exposition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "common/http/grammar.hpp"

namespace unfreeze {
namespace {

constexpr AlphanumericAnd name_chars{"_:"};
bool is_name_char(char c) { return name_chars.contains(c); }

/// Removes a metric's or a label's name from the front of `text`; empty if there is none.
std::string_view take_name(std::string_view& text) {
    return text.empty() || is_digit(text.front()) ? std::string_view{}
                                                  : take_while<is_name_char>(text);
}

/// Removes {name="value",...} from the front of `text`. Returns why it is malformed, or nothing.
std::string_view take_labels(std::string_view& text) {
    text.remove_prefix(1);
    while (!text.starts_with('}')) {
        if (take_name(text).empty() || !text.starts_with("=\"")) {
            return "expected label=\"value\"";
        }
        text.remove_prefix(2);
        while (!text.empty() && text.front() != '"') {
            text.remove_prefix(text.front() == '\\' && text.size() > 1 ? 2 : 1);
        }
        if (text.empty()) {
            return "a label's value has no end";
        }
        text.remove_prefix(1);
        if (text.starts_with(',')) {
            text.remove_prefix(1);
        } else if (!text.starts_with('}')) {
            return "expected a comma or } after a label";
        }
    }
    text.remove_prefix(1);
    return {};
}

/// The samples of a histogram and of a summary have suffixes.
std::string family_of(const std::string& name, const std::map<std::string, std::string>& types) {
    for (const std::string_view suffix : {"_bucket", "_sum", "_count", "_total", "_created"}) {
        const std::string family =
            name.substr(0, name.size() - std::min(suffix.size(), name.size()));
        if (name.ends_with(suffix) && types.contains(family)) {
            return family;
        }
    }
    return name;
}

}  // namespace

bool Exposition::has(std::string_view part, double value) const {
    double sum = 0;
    bool any = false;
    for (const Sample& sample : samples) {
        if (sample.name.find(part) != std::string::npos) {
            any = true;
            sum += sample.value;
            if (sample.value == value) {
                return true;
            }
        }
    }
    return any && sum == value;
}

std::string Exposition::lines_about(std::string_view part) const {
    std::string lines;
    for (const Sample& sample : samples) {
        if (sample.name.find(part) != std::string::npos) {
            lines += (lines.empty() ? "" : "; ") + sample.line;
        }
    }
    return lines.empty() ? fmt::format("no sample with '{}'", part) : lines;
}

Exposition parse_exposition(std::string_view text) {
    constexpr std::array<std::string_view, 8> kinds{"counter", "gauge",   "histogram", "summary",
                                                    "untyped", "unknown", "info",      "stateset"};
    Exposition exposition;
    std::map<std::string, std::string> types;
    std::set<std::string> sampled;
    std::size_t number = 0;
    const auto check = [&](std::string_view line) -> std::string {
        std::istringstream words{std::string{line}};
        std::string hash;
        std::string keyword;
        std::string name;
        std::string kind;
        words >> hash >> keyword >> name >> kind;
        if (line.starts_with('#')) {
            if (hash != "#" || keyword != "TYPE") {
                return {};  // a comment
            }
            if (std::count(kinds.begin(), kinds.end(), kind) == 0) {
                return fmt::format("'{}' is not a type", kind);
            }
            if (types.contains(name) || sampled.contains(name)) {
                return fmt::format("the type of {} comes twice, or after its samples", name);
            }
            types[name] = kind;
            return {};
        }
        std::string_view rest = line;
        const std::string metric{take_name(rest)};
        if (metric.empty()) {
            return "expected the name of a metric";
        }
        if (rest.starts_with('{')) {
            const std::string_view why = take_labels(rest);
            if (!why.empty()) {
                return std::string{why};
            }
        }
        const std::string labelled{line.substr(0, line.size() - rest.size())};
        if (!rest.starts_with(' ') && !rest.starts_with('\t')) {
            return "expected a space before the value";
        }
        const std::string values{trimmed(rest)};
        char* end = nullptr;
        const double value = std::strtod(values.c_str(), &end);
        if (end == values.c_str() || (*end != '\0' && *end != ' ' && *end != '\t')) {
            return fmt::format("'{}' is not a number", values);
        }
        const std::string family = family_of(metric, types);
        if (types.contains(family) && types[family] == "counter" && value < 0) {
            return "a counter is negative";
        }
        sampled.insert(family);
        exposition.samples.push_back({std::string{line}, labelled, value});
        return {};
    };
    while (!text.empty() && exposition.fault.empty()) {
        ++number;
        const std::size_t end = text.find('\n');
        const std::string_view line = trimmed(text.substr(0, end));
        if (end == std::string_view::npos) {
            exposition.fault = fmt::format("line {}: '{:.60}' has no line end", number, line);
            break;
        }
        text.remove_prefix(end + 1);
        const std::string why = line.empty() ? "" : check(line);
        if (!why.empty()) {
            exposition.fault = fmt::format("line {}: '{:.60}': {}", number, line, why);
        }
    }
    exposition.types = types.size();
    return exposition;
}

}  // namespace unfreeze
