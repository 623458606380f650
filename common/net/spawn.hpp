#pragma once

#include <exception>

namespace unfreeze {

/// The completion handler of every co_spawn in the house. What a peer did wrong ends inside the
/// coroutine that serves it; what arrives here is a broken invariant, and it stops the program.
inline void stop_on_exception(const std::exception_ptr& exception) {
    if (exception) {
        std::rethrow_exception(exception);
    }
}

}  // namespace unfreeze
