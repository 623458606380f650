#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>

// Controlled experiments on the servers of this course: each one changes one thing at a time,
// measures from outside or from the server's output, prints a table, and writes each row to a CSV
// file. It throws std::runtime_error if it gets no figures.
namespace unfreeze {

struct MeasureOptions {
    std::size_t seconds = 5;                 // to measure, for each row about locks
    std::chrono::milliseconds work_ms{100};  // duration of a job's work outside the lock
    std::chrono::milliseconds hold_ms{10};   // how long a job then holds the lock
    std::size_t rows = 1'000;                // measures only the first rows
};

/// Jobs a second and wait for the lock, with 1 to 64 workers, one lock or many.
void measure_contention(const MeasureOptions& options, std::FILE* csv);

/// Shards, shorter work and a longer queue, each alone and combined.
void measure_sharding(const MeasureOptions& options, std::FILE* csv);

/// Reads and writes with one lock, with shards, and with one lock for each user.
void measure_lock_granularity(const MeasureOptions& options, std::FILE* csv);

/// Responses a second of stages 1 to 5, each under its own load.
void measure_stage_throughput(const MeasureOptions& options, std::FILE* csv);

/// How long the last accepted event waits, and the memory of the queue, for five capacities.
void measure_queue_capacity(const MeasureOptions& options, std::FILE* csv);

/// Time for 100 jobs that arrive at once, with 1 to 16 workers.
void measure_workers(const MeasureOptions& options, std::FILE* csv);

/// Response times of stages 1 and 2 before, beside and after 20 idle clients.
void measure_freeze(const MeasureOptions& options, std::FILE* csv);

/// Threads and memory of idle connections, and the response time beside them.
void measure_connections(const MeasureOptions& options, std::FILE* csv);

}  // namespace unfreeze
