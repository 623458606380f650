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
          // The result of wait_for() is of no use: libstdc++'s may be false although the predicate
          // has just become true.
          stopped.wait_for(lock, stop, std::chrono::seconds{1}, [] { return false; });
          if (!stop.stop_requested()) {
              std::_Exit(status);
          }
      }} {}

LockReport::LockReport() {
    printer_ = std::jthread{[this](const std::stop_token& stop) { print_lines(stop); }};
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
    std::string line;
    if (jobs_this_second_.fetch_add(1, std::memory_order_relaxed) < lines_a_second_max) {
        line = to_line(worker, user, balance, waited, held) + '\n';
    }
    bool printer_waits = false;  // it may: if the buffer was not empty, it does not
    {
        const std::lock_guard lock{mutex_};
        if (ended_) {
            return;
        }
        second_.add(waited, held);
        total_.add(waited, held);
        if (!line.empty()) {
            printer_waits = pending_.empty();
            pending_ += line;
            ++second_lines_;
        }
    }
    if (printer_waits) {
        line_added_.notify_one();
    }
}

/// The printer thread. It writes without the lock, so that no other thread waits for a reader.
/// While it waits, no new second begins, and this bounds the buffer.
void LockReport::print_lines(const std::stop_token& stop) {
    using clock = std::chrono::steady_clock;
    auto second_begin = clock::now();
    std::string lines;
    std::unique_lock lock{mutex_};
    while (!stop.stop_requested() || !pending_.empty()) {
        const auto second_end = second_begin + std::chrono::seconds{1};
        line_added_.wait_until(lock, stop, second_end, [this] { return !pending_.empty(); });
        if (!pending_
                 .empty()) {  // to wake up and to write for each line would cost more than a job
            line_added_.wait_for(lock, stop, gather_time, [this] { return ended_; });
        }
        if (const auto now = clock::now(); now >= second_end) {
            add_second_line(now - second_begin);
            second_begin = now;
        }
        lines.swap(pending_);
        printing_ = true;
        lock.unlock();
        // Not fmt::print, which throws if the output can't be written.
        std::fwrite(lines.data(), 1, lines.size(), stdout);
        std::fflush(stdout);
        lines.clear();
        lock.lock();
        printing_ = false;
        printed_.notify_all();
    }
}

void LockReport::add_second_line(std::chrono::duration<double> span) {
    jobs_this_second_.store(0, std::memory_order_relaxed);
    const LockStats second = std::exchange(second_, {});
    const std::uint64_t without_line = second.jobs() - std::exchange(second_lines_, 0);
    if (second.jobs() > 0) {
        pending_ +=
            fmt::format("[second] {:.1f} jobs a second   {}{}\n",
                        static_cast<double>(second.jobs()) / span.count(), to_text(second),
                        without_line > 0 ? fmt::format("   {} without a line", without_line) : "");
    }
}

void LockReport::print_at_the_end(int signal) {
    const int status = 128 + signal;
    const ExitAlarm unless_printed{status};
    print_total();
    flush_notices();
    std::signal(signal, SIG_DFL);  // not earlier: `timeout` sends a signal twice
    std::raise(signal);
    std::_Exit(status);  // process 1 is still there
}

void LockReport::print_total() {
    std::unique_lock lock{mutex_};
    ended_ = true;
    second_ = {};
    second_lines_ = 0;
    pending_ += fmt::format("[total] {} jobs   {}\n", total_.jobs(), to_text(total_));
    line_added_.notify_one();
    printed_.wait(lock, [this] { return pending_.empty() && !printing_; });
}

}  // namespace unfreeze
