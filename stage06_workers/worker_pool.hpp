#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "stage03_validation/event.hpp"
#include "stage05_backpressure/bounded_queue.hpp"

namespace unfreeze {

/// Threads that take events off one queue, as many at a time as there are threads. They share
/// nothing but the queue, which hands each event to one of them.
class WorkerPool {
public:
    using Work = std::function<void(const Event& event, std::size_t worker)>;

    /// Starts `workers` threads, numbered from 1, that call `work`, several at the same time. The
    /// queue outlives the pool. Exits with 2 and a sentence where the machine has too few threads
    /// left.
    WorkerPool(std::size_t workers, BoundedQueue<Event>& queue, Work work);

    /// Closes the queue, has what is in it worked off, and waits for that.
    ~WorkerPool();

    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// Events whose work ended in an exception. It is reported, and its worker takes the next one.
    std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

private:
    void run(std::size_t number);

    BoundedQueue<Event>& queue_;
    const Work work_;
    std::atomic<std::uint64_t> failed_ = 0;
    std::vector<std::jthread> threads_;  // started last, when all that they use is there
};

}  // namespace unfreeze
