#include "stage10_shutdown/shutdown.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

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
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
    thread_ = start_thread("signals", [this] { listen(); });
}

Shutdown::~Shutdown() {
    over_ = true;
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Shutdown::listen() {
    const sigset_t signals = both_signals();
    for (int seen = 0; !over_;) {
        int signal = 0;
        if (sigwait(&signals, &signal) != 0 || over_) {
            continue;
        }
        ++seen;
        if (seen == 1) {
            first_.release();
        } else {
            second_.request_stop();
        }
    }
}

steady_clock::time_point last_answers_by(steady_clock::time_point deadline) {
    return std::min(deadline, steady_clock::now() + std::chrono::seconds{1});
}

void leave(LockReport& report, const Reading& events) {
    start_thread("last words", [] {
        std::this_thread::sleep_for(std::chrono::seconds{1});
        std::_Exit(1);  // nobody reads what is being printed
    }).detach();
    report.print_total();
    if (events.pending() > 0) {
        notice(fmt::format("{} of {} accepted events are lost", events.pending(),
                           events.received - events.dropped));
    }
    std::puts(to_line(events).c_str());
    std::fflush(stdout);
    std::_Exit(events.pending() == 0 ? 0 : 1);
}

}  // namespace unfreeze
