#include "common/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <new>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "common/log.hpp"

namespace unfreeze {
namespace {

/// Installs a handler that does nothing. Child processes would inherit SIG_IGN.
void take(int signal) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
}

void open_standard_descriptors() {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(descriptor, F_GETFD) < 0) {
            // open() returns the lowest free descriptor, which is this one. Its mode is
            // deliberately the wrong one, so that using it still fails.
            open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

/// Names the shortage; empty if the error is something else. The error may be of several
/// categories, Asio's among them, whose values are all those of errno.
std::string_view shortage(const std::error_code& code) {
    switch (code.value()) {
        case EMFILE:
        case ENFILE: return "no file descriptors left";
        case ENOMEM:
        case ENOBUFS: return "not enough memory";
        case EAGAIN: return "no threads or memory left";
        case EPIPE:
        case EIO:
        case EFBIG:
        case ENOSPC:
        case EDQUOT: return "the output can't be written";
        default: return {};
    }
}

std::terminate_handler abort_with_what = nullptr;

/// Prints the sentence for an exception that nothing caught. Allocates nothing, because memory may
/// be used up.
[[noreturn]] void end_by_exception() {
    if (std::current_exception()) {
        try {
            throw;
        } catch (const std::bad_alloc&) {
            fail("not enough memory");
        } catch (const std::system_error& error) {
            if (const std::string_view what = shortage(error.code()); !what.empty()) {
                std::array<char, 256> sentence;
                const auto end = fmt::format_to_n(sentence.data(), sentence.size(), "{}: {}", what,
                                                  error.what());
                fail({sentence.data(), std::min(end.size, sentence.size())});
            }
        } catch (const std::runtime_error& error) {
            fail(error.what());
        } catch (...) {
        }
    }
    abort_with_what();
    std::abort();
}

}  // namespace

void start_program() {
    take(SIGPIPE);
    take(SIGXFSZ);
    open_standard_descriptors();
    const std::terminate_handler before = std::set_terminate(end_by_exception);
    if (before != end_by_exception) {
        abort_with_what = before;
    }
}

}  // namespace unfreeze
