#include "stage07_contention/lock_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "common/spawn.hpp"

namespace unfreeze {

using milliseconds = std::chrono::duration<double, std::milli>;

void LockFigures::add(std::chrono::nanoseconds waited, std::chrono::nanoseconds held) {
    wait.record(std::chrono::duration_cast<std::chrono::microseconds>(waited));
    wait_sum += waited;
    hold_sum += held;
}

std::string to_text(const LockFigures& figures, std::chrono::duration<double> span) {
    const auto jobs = static_cast<double>(figures.jobs());
    const double divisor = std::max(jobs, 1.0);
    return fmt::format(
        "{:.1f} jobs a second   wait mean {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms   hold mean "
        "{:.2f} ms",
        jobs / span.count(), figures.wait_sum.count() / divisor,
        milliseconds{figures.wait.quantile(0.99)}.count(), milliseconds{figures.wait.max()}.count(),
        figures.hold_sum.count() / divisor);
}

std::string to_line(std::size_t worker, std::string_view user, std::int64_t balance,
                    std::chrono::nanoseconds waited, std::chrono::nanoseconds held) {
    std::string name{user.substr(0, 32)};
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return fmt::format("[worker {:>2}] user={} balance={} wait={:.2f}ms hold={:.2f}ms", worker,
                       name, balance, milliseconds{waited}.count(), milliseconds{held}.count());
}

LockReport::LockReport(asio::io_context& io) : timer_{io}, signals_{io, SIGINT, SIGTERM} {
    asio::co_spawn(io, print_each_second(), stop_on_exception);
    asio::co_spawn(io, print_at_the_end(), stop_on_exception);
}

void LockReport::add(std::size_t worker, std::string_view user, std::int64_t balance,
                     std::chrono::nanoseconds waited, std::chrono::nanoseconds held) {
    const std::string line = to_line(worker, user, balance, waited, held);
    const std::lock_guard lock{mutex_};
    second_.add(waited, held);
    total_.add(waited, held);
    fmt::print("{}\n", line);
}

asio::awaitable<void> LockReport::print_each_second() {
    for (auto last = clock::now();;) {
        timer_.expires_after(std::chrono::seconds{1});
        co_await timer_.async_wait(asio::use_awaitable);
        const auto now = clock::now();
        const std::lock_guard lock{mutex_};  // nothing is awaited until it goes
        if (second_.jobs() > 0) {
            fmt::print("[second] {}\n", to_text(std::exchange(second_, {}), now - last));
            std::fflush(stdout);  // for whoever reads at the other end of a pipe
        }
        last = now;
    }
}

asio::awaitable<void> LockReport::print_at_the_end() {
    const int signal = co_await signals_.async_wait(asio::use_awaitable);
    const std::lock_guard lock{mutex_};
    fmt::print("[total] {} jobs, {}\n", total_.jobs(), to_text(total_, clock::now() - start_));
    std::fflush(stdout);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

}  // namespace unfreeze
