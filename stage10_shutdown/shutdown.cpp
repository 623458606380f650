#include "stage10_shutdown/shutdown.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "common/log.hpp"
#include "stage06_workers/named_thread.hpp"
#include "stage09_metrics/monitor.hpp"

namespace unfreeze {
namespace {

sigset_t both_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    return signals;
}

}  // namespace

Shutdown::Shutdown() {
    const sigset_t signals = both_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    thread_ = start_thread("signals", [this] { listen(); });
}

Shutdown::~Shutdown() {
    over_ = true;
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
}

void Shutdown::listen() {
    const sigset_t signals = both_signals();
    std::optional<steady_clock::time_point> first;
    while (!over_) {
        int signal = 0;
        if (sigwait(&signals, &signal) != 0 || over_) {
            continue;
        }
        if (!first) {
            first = steady_clock::now();
            first_.release();
        } else if (steady_clock::now() >= *first + duplicate_window) {
            second_.request_stop();
        }
    }
}

steady_clock::time_point flush_deadline(steady_clock::time_point deadline) {
    return std::min(deadline, steady_clock::now() + std::chrono::seconds{1});
}

int report_final_counts(LockReport& report, const Snapshot& events) {
    const ExitAlarm unless_printed{1};
    report.print_total();
    if (events.pending() > 0) {
        notice(fmt::format("{} of {} accepted events are lost", events.pending(),
                           events.received - events.dropped));
        flush_notices();  // so that the figures come last
    }
    std::puts(to_line(events).c_str());
    std::fflush(stdout);
    return events.pending() == 0 ? 0 : 1;
}

}  // namespace unfreeze
