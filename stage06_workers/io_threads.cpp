#include "stage06_workers/io_threads.hpp"

#include <fmt/format.h>

#include <thread>
#include <vector>

#include "stage06_workers/named_thread.hpp"
#include "stage06_workers/turn.hpp"

namespace unfreeze {

IoThreads::IoThreads(std::size_t threads) {
    while (contexts_.size() < threads) {
        contexts_.emplace_back(1);  // one thread runs it: Asio may spare some locking
    }
}

void IoThreads::run() {
    const auto serve = [](asio::io_context& io) {
        const auto until_stopped = asio::make_work_guard(io);  // even while there is nothing to do
        const Turn turn{io};
        io.run();
    };
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < contexts_.size(); ++i) {
        others.push_back(
            start_thread(fmt::format("io {}", i + 1), [&serve, &io = contexts_[i]] { serve(io); }));
    }
    serve(contexts_.front());
}

void IoThreads::stop() {
    for (asio::io_context& context : contexts_) {
        context.stop();
    }
}

}  // namespace unfreeze
