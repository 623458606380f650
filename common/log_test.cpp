#include "common/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <iterator>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// While this object lives, standard error is a full pipe that no thread reads.
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

    /// Reads until `complete` accepts the text so far, or nothing arrives for 5 s. Returns the
    /// text.
    std::string read_until(const std::function<bool(const std::string&)>& complete) {
        std::array<char, 4096> buffer;
        pollfd readable{ends_[0], POLLIN, 0};
        while (!complete(text_) && poll(&readable, 1, 5'000) == 1) {
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
    std::size_t bytes_ = 0;  // of the filling, not yet read
    std::string text_;
};

/// The number of notices in a text, and of those that it reports as dropped.
long notices_in(const std::string& text) {
    static const std::regex dropped{
        "common_test: (\\d+) notices? dropped: standard error could not be written\n"};
    static const std::regex kept{"common_test: so\n"};
    long notices = std::distance(std::sregex_iterator{text.begin(), text.end(), kept}, {});
    for (std::sregex_iterator line{text.begin(), text.end(), dropped}, end; line != end; ++line) {
        notices += std::stol((*line)[1]);
    }
    return notices;
}

}  // namespace

TEST_CASE("notice() never waits for the output, and dropped notices are counted", "[waits]") {
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
    flush_notices();  // gives up after 100 ms
    CHECK(std::chrono::steady_clock::now() - start < 5s);

    // The test reads now. Each line says how many notices were dropped after the lines before it.
    const std::string text = pipe.read_until(
        [](const std::string& so_far) { return notices_in(so_far) == threads * each; });
    CHECK(notices_in(text) == threads * each);
    CHECK(text.starts_with("common_test: so\ncommon_test: so\n"));
    // The writer may take the first lines late, and then the last ones still have room.
    CHECK(text.find(" notices dropped: standard error could not be written\n") != text.npos);

    // Later notices are written at once.
    notice("again");
    const std::string more = "common_test: again\n";
    CHECK(pipe.read_until([&](const std::string& all) { return all.ends_with(more); }) ==
          text + more);
    flush_notices();
}
