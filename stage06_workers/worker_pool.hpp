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
#include "stage06_workers/job_queue.hpp"
#include "stage06_workers/named_thread.hpp"

namespace unfreeze {

struct ThreadOptions {
    std::size_t workers = 4;     // threads that work on events
    std::size_t io_threads = 1;  // threads that serve connections
};

inline void add_options(CommandLine& command_line, ThreadOptions& options) {
    command_line.add("--workers", options.workers, 1, 1'000, "threads that work on events");
    command_line.add("--io-threads", options.io_threads, 1, 64, "threads that serve connections");
}

/// Threads that pop jobs from one queue and work on them in parallel. They share nothing but the
/// queue, which gives each job to one of them.
template <typename Job>
class WorkerPool {
public:
    using Work = std::function<void(const Job& job, std::size_t worker)>;

    /// Starts `workers` threads, numbered from 1, which call `work` concurrently. The queue
    /// outlives the pool. If a thread can't be started, closes the queue, joins the others and
    /// throws std::system_error.
    WorkerPool(std::size_t workers, JobQueue<Job>& queue, std::type_identity_t<Work> work)
        : queue_{queue}, work_{std::move(work)}, running_{workers} {
        threads_.reserve(workers);
        try {
            for (std::size_t number = 1; number <= workers; ++number) {
                threads_.push_back(start_thread(fmt::format("worker {}", number),
                                                [this, number] { run(number); }));
            }
        } catch (...) {
            queue_.close();  // ends the threads that have started
            throw;
        }
    }

    /// Closes the queue and waits until the workers have drained it.
    ~WorkerPool() {
        queue_.close();  // the threads end when it is empty; ~jthread joins them
    }

    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// For tests: the number of jobs whose work threw. The worker logs that and pops the next job.
    std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

    /// For stage 10: waits until all workers have ended, which they do once the queue is drained.
    /// Returns false if the deadline passes or a stop is requested first.
    bool wait_until(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop) {
        std::unique_lock lock{mutex_};
        ended_.wait_until(lock, stop, deadline, [this] { return running_ == 0; });
        return running_ == 0;  // libstdc++'s wait may return false although this just became true
    }

private:
    /// One worker's thread. It catches what a job's work throws: an exception that left the thread
    /// would end the program and lose every job in the queue.
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
                failed("unknown exception");
            }
        }
        const std::lock_guard lock{mutex_};
        --running_;
        ended_.notify_all();
    }

    JobQueue<Job>& queue_;
    const Work work_;
    std::atomic<std::uint64_t> failed_ = 0;
    std::mutex mutex_;     // guards running_
    std::size_t running_;  // threads that have not ended
    std::condition_variable_any ended_;
    std::vector<std::jthread> threads_;  // last member: the threads use all others
};

}  // namespace unfreeze
