#pragma once

#include <asio.hpp>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <vector>

namespace unfreeze {

class BatchedCondition;

/// Wake-ups that an I/O thread has yet to send. The thread repeats two steps: it asks the kernel
/// which sockets are ready, and runs the handlers of all of them. To wake a worker takes a system
/// call, often longer than everything else that a request needs. So handlers note their wake-ups
/// here, and the thread sends all of them together after all ready handlers have run.
class WakeupBatch {
public:
    /// Batches the wake-ups of the calling thread, which is about to run `io`.
    explicit WakeupBatch(asio::io_context& io);

    /// Sends pending wake-ups, even if the thread exits by an exception.
    ~WakeupBatch();

    WakeupBatch(const WakeupBatch&) = delete;
    WakeupBatch& operator=(const WakeupBatch&) = delete;

    /// The calling thread's batch; null on a thread that runs no handlers.
    static WakeupBatch* current();

    /// Notifies one waiter after all ready handlers have run, or earlier if many notifications are
    /// pending. The condition lives until then.
    void notify_later(BatchedCondition& condition);

    /// Sends the calling thread's pending wake-ups now: call it before this thread waits for one of
    /// the threads that it is to wake.
    static void flush();

private:
    void send();

    /// A longer batch would leave workers asleep for too long while jobs are queued.
    static constexpr std::size_t pending_max = 256;

    asio::io_context& io_;
    std::vector<BatchedCondition*> pending_;  // one entry for each pending notify
    bool flush_posted_ = false;               // a handler that sends is already posted
};

/// A condition variable whose notify_one() is batched on threads that have a WakeupBatch. A thread
/// waits only if there is nothing to do, for example if the queue is empty.
class BatchedCondition {
public:
    template <typename Lock>
    void wait(Lock& lock) {
        WakeupBatch::flush();  // a thread sends its pending wake-ups before it waits
        to_wake_ = 0;          // others have done the work that these were to do
        condition_.wait(lock);
        if (to_wake_ > 0) {
            --to_wake_;
            condition_.notify_one();
        }
    }

    void notify_one() {
        if (WakeupBatch* const batch = WakeupBatch::current()) {
            batch->notify_later(*this);
        } else {
            condition_.notify_one();
        }
    }

    void notify_all() { condition_.notify_all(); }

    /// Wakes `times` waiters: one now, which wakes the next one before it works, and so on. If the
    /// first ones finish all the work meanwhile, the others sleep on.
    void notify_now(std::size_t times) {
        to_wake_ += times - 1;
        condition_.notify_one();
    }

private:
    std::condition_variable condition_;
    std::atomic<std::size_t> to_wake_ = 0;  // by the waiters; decreased only under the lock
};

}  // namespace unfreeze
