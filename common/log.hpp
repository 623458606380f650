#pragma once

#include <string_view>

namespace unfreeze {

/// Prints one line on standard error, behind the program's name.
void notice(std::string_view sentence);

/// The same, then exits with 2: what the user asked for can't be done, and the sentence says why.
[[noreturn]] void fail(std::string_view sentence);

}  // namespace unfreeze
