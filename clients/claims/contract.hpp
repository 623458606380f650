#pragma once

#include <string>

namespace unfreeze {

/// What `check` expects of a server, in Markdown: rules, and a table with a row for each claim that
/// it tests. docs/check.md contains it.
[[nodiscard]] std::string contract();

}  // namespace unfreeze
