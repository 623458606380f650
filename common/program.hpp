#pragma once

namespace unfreeze {

/// Makes signals, standard streams and uncaught exceptions behave the same everywhere. Each program
/// calls it first: by constructing a CommandLine, or directly if it has no flags.
///
/// - A failed write returns an error, and no signal ends the program: SIGPIPE (the reader of a pipe
///   has left) and SIGXFSZ (a file is as large as `ulimit -f` allows) do nothing. Child processes
///   have the default again.
/// - Descriptors 0, 1 and 2 are open. Otherwise, if the program was started without one, a client's
///   connection could become descriptor 2, and the client would read the log. Use of a descriptor
///   that was missing still fails.
/// - If an exception leaves main() or a thread, the program prints one sentence and exits with 2,
///   without unwinding and without joining threads. This applies to shortages (of memory,
///   descriptors, threads, or space for output) and to a plain std::runtime_error, whose text is
///   the sentence. Any other exception is a broken invariant, and the program aborts.
void start_program();

}  // namespace unfreeze
