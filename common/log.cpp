#include "common/log.hpp"

#include <errno.h>  // program_invocation_short_name, glibc's
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace unfreeze {

void notice(std::string_view sentence) {
    const std::string line = fmt::format("{}: {}\n", program_invocation_short_name, sentence);
    // Where standard error can't be written, nobody is left to tell: not a reason to stop serving.
    static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr));
}

void fail(std::string_view sentence) {
    notice(sentence);
    std::exit(2);
}

}  // namespace unfreeze
