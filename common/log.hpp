#pragma once

#include <string_view>

namespace unfreeze {

/// Prints one line on standard error, after the program's name, and does not wait for it: a
/// terminal or a pipe may take nothing for hours, so a thread that does nothing else writes the
/// line. If too many lines wait, or a line can't be written, it is dropped, and a later line says
/// how many were. A normal exit waits up to 100 ms for the last lines.
void notice(std::string_view sentence) noexcept;

/// Starts that thread before the first notice: for a program that may have no thread left by then.
/// If it has none now, it fails.
void start_notices() noexcept;

/// Waits up to 100 ms until all notices are written: before std::_Exit, which does not.
void flush_notices() noexcept;

/// Prints such a line after all notices, waits up to a second for it, and ends the program with
/// exit status 2: what the user asked for can't be done, and the sentence says why. It runs no
/// destructor and waits for no thread, whatever the others do. It allocates nothing, since memory
/// may be used up.
[[noreturn]] void fail(std::string_view sentence) noexcept;

}  // namespace unfreeze
