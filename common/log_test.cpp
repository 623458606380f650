#include "common/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// Makes standard error a pipe that nobody reads and that is full, while this object lives.
class FullPipe {
public:
    FullPipe() {
        REQUIRE(pipe2(ends_.data(), O_CLOEXEC) == 0);
        before_ = dup(STDERR_FILENO);
        fcntl(ends_[1], F_SETFL, O_NONBLOCK);
        while (write(ends_[1], "x", 1) == 1) {
            ++bytes_;
        }
        fcntl(ends_[1], F_SETFL, 0);
        dup2(ends_[1], STDERR_FILENO);
    }

    ~FullPipe() {
        dup2(before_, STDERR_FILENO);
        for (const int descriptor : {ends_[0], ends_[1], before_}) {
            close(descriptor);
        }
    }

    FullPipe(const FullPipe&) = delete;
    FullPipe& operator=(const FullPipe&) = delete;

    /// What has been written to it, up to a line that matches, or until nothing comes for a while.
    std::string read_until(const std::regex& last_line) {
        std::array<char, 4096> buffer;
        pollfd readable{ends_[0], POLLIN, 0};
        while (
            !std::regex_search(text_.substr(text_.rfind('\n', text_.size() - 2) + 1), last_line) &&
            poll(&readable, 1, 5'000) == 1) {
            const ssize_t got = read(ends_[0], buffer.data(), buffer.size());
            const auto filling = std::min(bytes_, static_cast<std::size_t>(got));
            bytes_ -= filling;
            text_.append(buffer.data() + filling, static_cast<std::size_t>(got) - filling);
        }
        return text_;
    }

private:
    std::array<int, 2> ends_{};
    int before_ = -1;
    std::size_t bytes_ = 0;  // that it was filled with, and are still to be read
    std::string text_ = "\n";
};

}  // namespace

TEST_CASE("Notices wait for nobody, and those that were dropped are counted", "[waits]") {
    constexpr int threads = 4;
    constexpr int each = 2'000;
    FullPipe pipe;
    std::vector<std::future<void>> noticing;
    for (int thread = 0; thread < threads; ++thread) {
        noticing.push_back(std::async(std::launch::async, [] {
            for (int i = 0; i < each; ++i) {
                notice("so");
            }
        }));
    }
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    for (std::future<void>& one : noticing) {
        CHECK(one.wait_until(deadline) == std::future_status::ready);
    }
    const auto start = std::chrono::steady_clock::now();
    flush_notices();  // can't
    CHECK(std::chrono::steady_clock::now() - start < 5s);

    // Now somebody reads: those that were kept come first, and then how many were not.
    const std::regex dropped_line{
        "^common_test: (\\d+) notices dropped: standard error could not be written\n$"};
    const std::string text = pipe.read_until(dropped_line);
    std::smatch match;
    const std::string last = text.substr(text.rfind('\n', text.size() - 2) + 1);
    REQUIRE(std::regex_search(last, match, dropped_line));
    const std::regex kept_line{"common_test: so\n"};
    const auto kept = std::distance(std::sregex_iterator{text.begin(), text.end(), kept_line}, {});
    CHECK(kept > 100);
    CHECK(kept + std::stol(match[1]) == threads * each);

    // From here on they are written as they come.
    notice("again");
    CHECK(pipe.read_until(std::regex{"again\n$"}).ends_with(last + "common_test: again\n"));
    flush_notices();
}
