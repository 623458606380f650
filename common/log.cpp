#include "common/log.hpp"

#include <errno.h>  // program_invocation_short_name, glibc's
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

namespace unfreeze {

void notice(std::string_view sentence) {
    fmt::print(stderr, "{}: {}\n", program_invocation_short_name, sentence);
}

void fail(std::string_view sentence) {
    notice(sentence);
    std::exit(2);
}

}  // namespace unfreeze
