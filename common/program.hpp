#pragma once

namespace unfreeze {

/// Decides, for a whole program, what the system would otherwise decide for it. Each program calls
/// it first: by making a CommandLine, or itself if it has no flags.
///
/// - A write that can't succeed returns an error where it happens, and no signal ends the program:
///   SIGPIPE (the reader of a pipe has left) and SIGXFSZ (a file is as large as `ulimit -f` lets
///   it be) do nothing. Programs that this one starts have the default again.
/// - Descriptors 0, 1 and 2 are open. Otherwise, if the program was started without one, a client's
///   connection could become descriptor 2, and the client would read the log. Use of one that was
///   missing still fails.
/// - If nothing catches an exception that means a shortage of memory, descriptors or threads, or
///   that output can't be written, the program prints one sentence and exits with 2, and neither
///   unwinds nor waits for a thread. Any other exception that arrives there is a broken invariant
///   and aborts, as ever.
void start_program();

}  // namespace unfreeze
