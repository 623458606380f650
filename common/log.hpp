#pragma once

#include <string_view>

namespace unfreeze {

/// Logs one line, which begins with the program's name, on standard error. It never waits for the
/// output, because a terminal or a pipe may block for hours: a separate thread writes the lines.
/// If the buffer is full or a line can't be written, the line is dropped, and a later line says how
/// many were. A normal exit waits up to 100 ms for the last lines.
void notice(std::string_view sentence) noexcept;

/// Starts that thread before the first notice, for a program that may have no thread left by then.
/// Calls fail() if the thread can't be started.
void start_notices() noexcept;

/// Waits up to 100 ms until all notices are written. Call it before std::_Exit.
void flush_notices() noexcept;

/// Ends the program with exit status 2, because it can't do what the user asked for. Prints the
/// sentence, which says why, after all notices; waits up to a second for the output. It runs no
/// destructors, joins no threads, and allocates nothing, because memory may be used up.
[[noreturn]] void fail(std::string_view sentence) noexcept;

}  // namespace unfreeze
