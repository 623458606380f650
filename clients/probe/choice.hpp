#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "common/log.hpp"

namespace unfreeze {

/// "pass, joined, delayed": what there is to choose from. Each has a name.
template <typename Choices>
std::string names_of(const Choices& choices) {
    std::string names;
    for (const auto& choice : choices) {
        names += fmt::format("{}{}", names.empty() ? "" : ", ", choice.name);
    }
    return names;
}

/// The one of that name; exits with 2 and a sentence where there is none. `kind` is what they are:
/// "verb".
template <typename Choices>
const auto& choose(std::string_view kind, std::string_view name, const Choices& choices) {
    const auto chosen =
        std::find_if(choices.begin(), choices.end(), [&](const auto& c) { return c.name == name; });
    if (chosen == choices.end()) {
        fail(fmt::format("there is no {} '{}', but: {}", kind, name, names_of(choices)));
    }
    return *chosen;
}

}  // namespace unfreeze
