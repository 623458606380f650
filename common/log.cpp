#include "common/log.hpp"

#include <errno.h>  // program_invocation_short_name, glibc's
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>

namespace unfreeze {
namespace {

constexpr std::size_t pending_bytes_max = 16 * 1024;
constexpr std::chrono::milliseconds flush_patience{100};

/// Writes the text to standard error, and waits if it must. Returns false on an error.
bool write_all(std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
        if (written > 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (written < 0 && errno == EAGAIN) {  // another program made it non-blocking
            pollfd room{STDERR_FILENO, POLLOUT, 0};
            poll(&room, 1, -1);
        } else if (written == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

/// The pending notices, and the thread that writes them.
class Notices {
public:
    void add(std::string_view sentence) noexcept {
        const std::lock_guard lock{mutex_};
        try {
            const std::string line =
                fmt::format("{}: {}\n", program_invocation_short_name, sentence);
            if (start() && pending_.size() + line.size() <= pending_bytes_max) {
                pending_ += line;
                changed_.notify_all();
                return;
            }
        } catch (const std::exception&) {
            // no memory left
        }
        ++dropped_;
    }

    bool start_early() noexcept {
        const std::lock_guard lock{mutex_};
        return start();
    }

    void flush() noexcept {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, flush_patience, [&] { return pending_.empty() && !writing_; });
    }

private:
    /// Starts the thread once, with all signals blocked, because other threads handle them. Returns
    /// false if the machine has no thread left; the next call retries.
    bool start() noexcept {
        if (started_) {
            return true;
        }
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        try {
            std::thread{[this] { write_pending(); }}.detach();
            started_ = true;
            std::atexit(flush_notices);
        } catch (const std::exception&) {
            // no thread or no memory left
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return started_;
    }

    [[noreturn]] void write_pending() {
        pthread_setname_np(pthread_self(), "notices");
        std::string text;
        std::unique_lock lock{mutex_};
        for (;;) {
            changed_.wait(lock, [&] { return !pending_.empty(); });
            text.swap(pending_);
            std::uint64_t dropped = std::exchange(dropped_, 0);  // later than those in the text
            writing_ = true;
            lock.unlock();
            const auto lines = std::count(text.begin(), text.end(), '\n');
            const std::uint64_t lost = write_all(text) ? 0 : static_cast<std::uint64_t>(lines);
            if (dropped > 0 && lost == 0 && write_all(dropped_line(dropped))) {
                dropped = 0;
            }
            text.clear();
            lock.lock();
            writing_ = false;
            dropped_ += dropped + lost;
            changed_.notify_all();
        }
    }

    /// Formats "NAME: 3 notices dropped: standard error could not be written" in the buffer.
    std::string_view dropped_line(std::uint64_t dropped) {
        const auto end =
            fmt::format_to_n(buffer_.data(), buffer_.size(),
                             "{}: {} notice{} dropped: standard error could not be written\n",
                             program_invocation_short_name, dropped, dropped == 1 ? "" : "s");
        return {buffer_.data(), std::min(end.size, buffer_.size())};
    }

    std::mutex mutex_;  // guards all members below except the buffer
    std::condition_variable changed_;
    std::string pending_;
    std::uint64_t dropped_ = 0;  // notices that no line has counted yet
    bool started_ = false;
    bool writing_ = false;
    std::array<char, 256> buffer_{};  // used only by the thread
};

/// Never destroyed, because its thread may outlive all other objects. Allocates nothing.
Notices& notices() {
    alignas(Notices) static std::array<std::byte, sizeof(Notices)> memory;
    static Notices& all = *new (memory.data()) Notices;
    return all;
}

}  // namespace

void notice(std::string_view sentence) noexcept { notices().add(sentence); }

void start_notices() noexcept {
    if (!notices().start_early()) {
        fail("can't start the thread that writes notices");
    }
}

void flush_notices() noexcept { notices().flush(); }

void fail(std::string_view sentence) noexcept {
    static std::atomic_flag failed;
    if (failed.test_and_set()) {
        for (;;) {
            pause();  // another thread ends the program
        }
    }
    // Another thread may be blocked in a write, and would hold stdout's lock.
    signal(SIGALRM, [](int) { _exit(2); });
    alarm(1);
    flush_notices();
    std::fprintf(stderr, "%s: %.*s\n", program_invocation_short_name,
                 static_cast<int>(sentence.size()), sentence.data());
    std::fflush(stdout);
    std::_Exit(2);
}

}  // namespace unfreeze
