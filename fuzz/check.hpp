#pragma once

#include <cstdio>
#include <cstdlib>

namespace unfreeze {

/// Aborts if a property does not hold. libFuzzer keeps the input then.
inline void check(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "violated: %s\n", what);
        std::abort();
    }
}

}  // namespace unfreeze
