#pragma once

#include <string>

namespace unfreeze {

/// What `check` expects of a server, in Markdown: rules, and what each claim that it tests sends
/// and accepts. docs/check.md contains it.
[[nodiscard]] std::string contract();

}  // namespace unfreeze
