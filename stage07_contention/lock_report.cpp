#include "stage07_contention/lock_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "common/log.hpp"

namespace unfreeze {

using milliseconds = std::chrono::duration<double, std::milli>;

namespace {

/// fmt::print throws where nothing can be written. A report is not worth a server.
void print(std::string line) {
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), stdout);
}

}  // namespace

void LockStats::add(std::chrono::nanoseconds waited, std::chrono::nanoseconds held) {
    wait.record(std::chrono::duration_cast<std::chrono::microseconds>(waited));
    hold.record(std::chrono::duration_cast<std::chrono::microseconds>(held));
}

std::string to_text(const LockStats& figures) {
    return fmt::format("wait mean {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms   hold mean {:.2f} ms",
                       milliseconds{figures.wait.mean()}.count(),
                       milliseconds{figures.wait.quantile(0.99)}.count(),
                       milliseconds{figures.wait.max()}.count(),
                       milliseconds{figures.hold.mean()}.count());
}

std::string to_line(std::size_t worker, std::string_view user, std::int64_t balance,
                    std::chrono::nanoseconds waited, std::chrono::nanoseconds held) {
    std::string name{user.substr(0, 32)};
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return fmt::format("[worker {:>2}] user={} balance={} wait={:.2f}ms hold={:.2f}ms", worker,
                       name, balance, milliseconds{waited}.count(), milliseconds{held}.count());
}

ExitAlarm::ExitAlarm(int status)
    : thread_{[status](const std::stop_token& stop) {
          std::mutex mutex;
          std::condition_variable_any stopped;
          std::unique_lock lock{mutex};
          // What wait_for() returns says nothing here: libstdc++ may return false although the
          // condition has just become true.
          stopped.wait_for(lock, stop, std::chrono::seconds{1}, [] { return false; });
          if (!stop.stop_requested()) {
              std::_Exit(status);
          }
      }} {}

LockReport::LockReport() {
    printer_ = std::jthread{[this](const std::stop_token& stop) { print_each_second(stop); }};
}

LockReport::LockReport(asio::io_context& io) : LockReport{} {
    signals_.emplace(io, SIGINT, SIGTERM);
    signals_->async_wait([this](const asio::error_code& error, int signal) {
        if (!error) {
            print_at_the_end(signal);
        }
    });
}

void LockReport::add(std::size_t worker, std::string_view user, std::int64_t balance,
                     std::chrono::nanoseconds waited, std::chrono::nanoseconds held) {
    const std::lock_guard lock{mutex_};
    second_.add(waited, held);
    total_.add(waited, held);
    if (second_.jobs() <= lines_a_second_max) {
        print(to_line(worker, user, balance, waited, held));
    }
}

void LockReport::print_each_second(const std::stop_token& stop) {
    using clock = std::chrono::steady_clock;
    std::unique_lock lock{mutex_};
    auto last = clock::now();
    for (;;) {
        stopped_.wait_until(lock, stop, last + std::chrono::seconds{1}, [] { return false; });
        if (stop.stop_requested()) {
            return;
        }
        const std::chrono::duration<double> span = clock::now() - last;
        last = clock::now();
        const LockStats second = std::exchange(second_, {});
        if (second.jobs() > 0) {
            const auto untold =
                second.jobs() - std::min<std::uint64_t>(second.jobs(), lines_a_second_max);
            print(fmt::format("[second] {:.1f} jobs a second   {}{}",
                              static_cast<double>(second.jobs()) / span.count(), to_text(second),
                              untold > 0 ? fmt::format("   {} without a line", untold) : ""));
            std::fflush(stdout);  // for whoever reads at the other end of a pipe
        }
    }
}

void LockReport::print_at_the_end(int signal) {
    const int status = 128 + signal;
    const ExitAlarm unless_printed{status};
    print_total();
    flush_notices();
    std::signal(signal, SIG_DFL);  // not before: one wish may come as two signals
    std::raise(signal);
    std::_Exit(status);  // process 1 is still there
}

void LockReport::print_total() {
    const std::lock_guard lock{mutex_};
    second_ = {};  // nothing follows the line for all jobs
    print(fmt::format("[total] {} jobs   {}", total_.jobs(), to_text(total_)));
    std::fflush(stdout);
}

}  // namespace unfreeze
