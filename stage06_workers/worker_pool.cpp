#include "stage06_workers/worker_pool.hpp"

#include <fmt/format.h>

#include <exception>
#include <string_view>
#include <utility>

#include "common/log.hpp"
#include "stage06_workers/named_thread.hpp"

namespace unfreeze {

WorkerPool::WorkerPool(std::size_t workers, BoundedQueue<Event>& queue, Work work)
    : queue_{queue}, work_{std::move(work)} {
    for (std::size_t number = 1; number <= workers; ++number) {
        threads_.push_back(
            start_thread(fmt::format("worker {}", number), [this, number] { run(number); }));
    }
}

WorkerPool::~WorkerPool() {
    queue_.close();  // the threads end when it is empty, and are joined as threads_ goes
}

/// A worker's life. What one event's work throws is that event's misfortune and nobody else's: a
/// thread that let it out would end the program, and all that waits in the queue with it.
void WorkerPool::run(std::size_t number) {
    const auto failed = [&](std::string_view why) {
        failed_.fetch_add(1, std::memory_order_relaxed);
        notice(fmt::format("worker {}: the work on an event failed: {}", number, why));
    };
    while (const auto event = queue_.pop()) {
        try {
            work_(*event, number);
        } catch (const std::exception& error) {
            failed(error.what());
        } catch (...) {
            failed("an exception of no known type");
        }
    }
}

}  // namespace unfreeze
