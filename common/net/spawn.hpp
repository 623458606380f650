#pragma once

#include <exception>

namespace unfreeze {

/// The completion handler of every co_spawn. A coroutine catches the errors of its peer, so an
/// exception that arrives here is a broken invariant, and stops the program.
inline void stop_on_exception(const std::exception_ptr& exception) {
    if (exception) {
        std::rethrow_exception(exception);
    }
}

}  // namespace unfreeze
