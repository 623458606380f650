#include "stage06_workers/io_threads.hpp"

#include <fmt/format.h>

#include <thread>
#include <vector>

#include "stage06_workers/thread_name.hpp"

namespace unfreeze {

IoThreads::IoThreads(std::size_t threads) {
    while (contexts_.size() < threads) {
        contexts_.emplace_back(1);  // one thread runs it: Asio may spare some locking
    }
}

void IoThreads::run() {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < contexts_.size(); ++i) {
        others.emplace_back([&io = contexts_[i], i] {
            name_this_thread(fmt::format("io {}", i + 1));
            const auto until_stopped = asio::make_work_guard(io);  // even where nothing is to do
            io.run();
        });
    }
    contexts_.front().run();
}

}  // namespace unfreeze
