#include "stage06_workers/io_threads.hpp"

#include <fmt/format.h>

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "stage06_workers/named_thread.hpp"
#include "stage06_workers/wakeup_batch.hpp"

namespace unfreeze {

IoThreads::IoThreads(std::size_t threads) {
    while (contexts_.size() < threads) {
        contexts_.emplace_back(1);  // concurrency hint 1: one thread runs it, so Asio locks less
    }
}

void IoThreads::run() {
    std::mutex mutex;  // guards the next one
    std::exception_ptr thrown;
    const auto stop_if_it_throws = [&](const auto& body) {
        try {
            body();
        } catch (...) {
            const std::lock_guard lock{mutex};
            thrown = thrown ? thrown : std::current_exception();
            stop();
        }
    };
    const auto serve = [&](asio::io_context& io) {
        stop_if_it_throws([&] {
            const auto until_stopped = asio::make_work_guard(io);  // even with nothing to do
            const WakeupBatch batch{io};
            io.run();
        });
    };
    {
        std::vector<std::jthread> others;
        others.reserve(contexts_.size());  // a jthread that push_back() dropped would be joined
        stop_if_it_throws([&] {
            for (std::size_t i = 1; i < contexts_.size(); ++i) {
                others.push_back(start_thread(fmt::format("io {}", i + 1),
                                              [&serve, &io = contexts_[i]] { serve(io); }));
            }
        });
        serve(contexts_.front());
    }
    // After all threads: a coroutine may use an object of another context, such as a channel.
    for (IoContext& context : contexts_) {
        context.shutdown();
    }
    if (thrown) {
        std::rethrow_exception(thrown);
    }
}

void IoThreads::stop() {
    for (asio::io_context& context : contexts_) {
        context.stop();
    }
}

}  // namespace unfreeze
