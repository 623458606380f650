#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

#include "stage05_backpressure/bounded_queue.hpp"
#include "stage06_workers/wakeup_batch.hpp"

namespace unfreeze {

/// The queue between the I/O threads and the workers: stage 5's queue, with the same contract. A
/// push on an I/O thread does not wake a worker at once: the thread sends all its wake-ups
/// together, once per loop iteration.
template <typename Job>
class JobQueue {
public:
    explicit JobQueue(std::size_t capacity, std::size_t poppers = 0) : queue_{capacity, poppers} {}

    /// If the queue is full, the pending wake-ups are sent now, because the workers make room.
    PushStatus try_push(Job&& job) {
        const PushStatus status = queue_.try_push(std::move(job));
        if (status == PushStatus::full) {
            WakeupBatch::flush();
        }
        return status;
    }

    PushStatus push(Job&& job) { return queue_.push(std::move(job)); }
    [[nodiscard]] std::optional<Job> pop() { return queue_.pop(); }
    void close() { queue_.close(); }

    // For the gauges of stage 9.
    std::size_t size() const { return queue_.size(); }
    std::size_t capacity() const { return queue_.capacity(); }
    std::size_t poppers() const { return queue_.poppers(); }

private:
    BoundedQueue<Job, std::mutex, BatchedCondition> queue_;
};

}  // namespace unfreeze
