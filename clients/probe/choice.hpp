#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "common/log.hpp"

namespace unfreeze {

/// Lists the names of the choices: "pass, split, join". Each choice has a member `name`.
template <typename Choices>
[[nodiscard]] std::string names_of(const Choices& choices) {
    std::string names;
    for (const auto& choice : choices) {
        names += fmt::format("{}{}", names.empty() ? "" : ", ", choice.name);
    }
    return names;
}

/// Returns the choice of that name. If there is none, prints an error that lists the names, and
/// exits with 2. `kind` says what the choices are, such as "fault". CLI::IsMember would also check
/// a name, but its error message differs between CLI11 2.1 and 2.6.
template <typename Choices>
[[nodiscard]] const auto& choose(std::string_view kind, std::string_view name,
                                 const Choices& choices) {
    const auto chosen =
        std::find_if(choices.begin(), choices.end(), [&](const auto& c) { return c.name == name; });
    if (chosen == choices.end()) {
        fail(fmt::format("unknown {} '{}'; choose one of: {}", kind, name, names_of(choices)));
    }
    return *chosen;
}

}  // namespace unfreeze
