#pragma once

#include <cstdio>
#include <cstdlib>

namespace unfreeze {

/// What has to be true of every input: libFuzzer keeps the input for which it is not.
inline void check(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "not so: %s\n", what);
        std::abort();
    }
}

}  // namespace unfreeze
