#pragma once

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/command_line.hpp"
#include "common/log.hpp"
#include "stage05_backpressure/bounded_queue.hpp"
#include "stage06_workers/named_thread.hpp"
#include "stage06_workers/wakeup_batch.hpp"

namespace unfreeze {

struct ThreadOptions {
    std::size_t workers = 4;     // threads that work on events
    std::size_t io_threads = 1;  // threads that serve connections
};

inline void add_options(CommandLine& command_line, ThreadOptions& options) {
    command_line.add("--workers", options.workers, 1, 1'000, "threads that work on events");
    command_line.add("--io-threads", options.io_threads, 1, 64, "threads that serve connections");
}

/// What the workers take their jobs from: the queue of stage 5, whose workers are woken once for
/// all that an I/O thread brings in a turn, and not for each job.
template <typename Job>
class JobQueue : public BoundedQueue<Job, std::mutex, BatchedCondition> {
public:
    using BoundedQueue<Job, std::mutex, BatchedCondition>::BoundedQueue;

    /// Where there is no room, those who make some are woken at once.
    PushStatus try_push(Job&& job) {
        const PushStatus status =
            BoundedQueue<Job, std::mutex, BatchedCondition>::try_push(std::move(job));
        if (status == PushStatus::full) {
            WakeupBatch::flush();
        }
        return status;
    }
};

/// Threads that take jobs off one queue, as many at a time as there are threads. They share nothing
/// but the queue, which hands each job to one of them.
template <typename Job>
class WorkerPool {
public:
    using Work = std::function<void(const Job& job, std::size_t worker)>;

    /// Starts `workers` threads, numbered from 1, that call `work`, several at the same time. The
    /// queue outlives the pool. Exits with 2 and a sentence where the machine has too few threads
    /// left.
    WorkerPool(std::size_t workers, JobQueue<Job>& queue, std::type_identity_t<Work> work)
        : queue_{queue}, work_{std::move(work)}, running_{workers} {
        for (std::size_t number = 1; number <= workers; ++number) {
            threads_.push_back(
                start_thread(fmt::format("worker {}", number), [this, number] { run(number); }));
        }
    }

    /// Closes the queue, has what is in it worked off, and waits for that.
    ~WorkerPool() {
        queue_.close();  // the threads end when it is empty, and are joined as threads_ goes
    }

    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// Jobs whose work ended in an exception. It is reported, and its worker takes the next one.
    std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

    /// Waits for all work to have ended, which it does behind the queue's close(). False where the
    /// deadline or the stop comes first.
    bool wait_until(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop) {
        std::unique_lock lock{mutex_};
        ended_.wait_until(lock, stop, deadline, [this] { return running_ == 0; });
        return running_ == 0;  // libstdc++ may return false although this has just become true
    }

private:
    /// A worker's life. What one job's work throws is that job's misfortune and nobody else's: a
    /// thread that let it out would end the program, and all that waits in the queue with it.
    void run(std::size_t number) {
        const auto failed = [&](std::string_view why) {
            failed_.fetch_add(1, std::memory_order_relaxed);
            notice(fmt::format("worker {}: the work on an event failed: {}", number, why));
        };
        while (const auto job = queue_.pop()) {
            try {
                work_(*job, number);
            } catch (const std::exception& error) {
                failed(error.what());
            } catch (...) {
                failed("an exception of no known type");
            }
        }
        const std::lock_guard lock{mutex_};
        --running_;
        ended_.notify_all();
    }

    JobQueue<Job>& queue_;
    const Work work_;
    std::atomic<std::uint64_t> failed_ = 0;
    std::mutex mutex_;     // guards the next one
    std::size_t running_;  // threads that have yet to end
    std::condition_variable_any ended_;
    std::vector<std::jthread> threads_;  // started last, when all that they use is there
};

}  // namespace unfreeze
