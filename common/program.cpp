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
#include <string_view>
#include <system_error>

#include "common/log.hpp"

namespace unfreeze {
namespace {

/// A handler, and not SIG_IGN, which the programs that this one starts would inherit.
void take(int signal) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
}

void open_standard_descriptors() {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(descriptor, F_GETFD) < 0) {
            // The lowest free one, which is this one. The wrong way round: use of it still fails.
            open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

/// Names the shortage, or nothing if the error means something else. The numbers of all categories
/// that reach as far are those of errno; Asio has a category of its own for them.
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

/// Allocates nothing: memory may be what is short.
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
