#include "stage07_contention/lock_report.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// Sends standard output to a descriptor, while this object lives.
class OutputTo {
public:
    explicit OutputTo(int descriptor) : before_{dup(STDOUT_FILENO)} {
        std::fflush(stdout);
        dup2(descriptor, STDOUT_FILENO);
    }

    ~OutputTo() {
        dup2(before_, STDOUT_FILENO);
        close(before_);
    }

    OutputTo(const OutputTo&) = delete;
    OutputTo& operator=(const OutputTo&) = delete;

private:
    int before_;
};

}  // namespace

TEST_CASE("A job's line has its worker, user, balance, wait and hold") {
    CHECK(to_line(5, "user3", 30, 45'230us, 10'120us) ==
          "[worker  5] user=user3 balance=30 wait=45.23ms hold=10.12ms");
    CHECK(to_line(12, "", -1, 0us, 4us) == "[worker 12] user= balance=-1 wait=0.00ms hold=0.00ms");
}

TEST_CASE("A user's name in a line has no control characters and at most 32 bytes") {
    CHECK(to_line(1, "a\x1b[2J\nb\x7f\xc3\xa9", 0, 0us, 0us)
              .starts_with("[worker  1] user=a?[2J?b??? "));
    CHECK(to_line(1, std::string(1'000, 'x'), 0, 0us, 0us).size() < 100);
}

TEST_CASE("The figures are the mean, p99 and maximum wait, and the mean hold") {
    LockStats figures;
    for (int i = 1; i <= 100; ++i) {  // the histogram's p99 has an error of at most 1.6 %
        figures.add(i * 1ms, 10ms);
    }
    CHECK(figures.jobs() == 100);
    CHECK(to_text(figures) ==
          "wait mean 50.50 ms, p99 99.33 ms, max 100.00 ms   hold mean 10.00 "
          "ms");
    CHECK(to_text({}) == "wait mean 0.00 ms, p99 0.00 ms, max 0.00 ms   hold mean 0.00 ms");
}

TEST_CASE("At most ten thousand jobs a second have a line, and all jobs are counted") {
    constexpr int jobs = 25'000;
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    {
        const OutputTo redirected{fileno(file)};
        LockReport report;
        for (int i = 0; i < jobs; ++i) {
            report.add(1, "a", i, 1ms, 1ms);
        }
        report.print_total();
    }
    REQUIRE(std::fseek(file, 0, SEEK_SET) == 0);
    int lines = 0;
    std::string last;
    for (std::array<char, 200> line{}; std::fgets(line.data(), line.size(), file) != nullptr;) {
        last = line.data();
        lines += last.starts_with("[worker") ? 1 : 0;
    }
    std::fclose(file);
    CHECK(lines >= 10'000);
    CHECK(lines < jobs);
    CHECK(last.starts_with("[total] 25000 jobs"));
}

TEST_CASE("If the output is not read, no job waits for it, and the jobs without a line are counted",
          "[waits]") {
    constexpr long jobs = 25'000;  // a pipe holds 64 KiB, which is a thousand lines
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    std::string output;
    {
        const OutputTo redirected{ends[1]};
        LockReport report;
        for (int i = 0; i < jobs; ++i) {
            report.add(1, "a", i, 1ms, 1ms);
        }
        for (std::array<char, 4096> bytes{}; !output.ends_with(" without a line\n");) {
            const ssize_t got = read(ends[0], bytes.data(), bytes.size());
            REQUIRE(got > 0);
            output.append(bytes.data(), static_cast<std::size_t>(got));
        }
    }
    close(ends[0]);
    close(ends[1]);
    const auto lines = std::count(output.begin(), output.end(), '\n') - 1;  // and one [second] line
    CHECK(lines >= 10'000);
    const std::string without = output.substr(output.rfind("   ") + 3);
    CHECK(std::stol(without) == jobs - lines);
}

TEST_CASE("An exit alarm that is destroyed in time does not end the process", "[waits]") {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 8; ++thread) {  // more than cores, so that each is interrupted
        threads.emplace_back([] {
            for (int i = 0; i < 15'000; ++i) {
                const ExitAlarm alarm{3};  // if it goes off, this test ends with status 3
                for (int turn = 0; turn < i % 20; ++turn) {
                    std::this_thread::yield();
                }
            }
        });
    }
    threads.clear();
    SUCCEED();
}
