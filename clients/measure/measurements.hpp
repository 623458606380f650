#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>

// Controlled experiments on this course's own servers: one thing is changed at a time, everything
// is measured from outside or read from what the server prints, and every row goes into a CSV file.
// Each prints a table for people meanwhile, and throws std::runtime_error where it gets no figures.
namespace unfreeze {

struct MeasureOptions {
    std::size_t seconds = 5;                 // to measure, for each row ...
    std::chrono::milliseconds work_ms{100};  // ... and what its work takes, ...
    std::chrono::milliseconds hold_ms{10};   // ... on either side of the lock: of locks alone
    std::size_t rows = 1'000;                // to measure at most, the first ones
};

// Of locks: more and more workers; the three things that once were changed together; and from one
// lock to one for each user.
void measure_contention(const MeasureOptions& options, std::FILE* csv);
void measure_sharding(const MeasureOptions& options, std::FILE* csv);
void measure_levels(const MeasureOptions& options, std::FILE* csv);

// Of servers: what each of the first five answers under its load; how long one waits in a queue,
// and what its places cost; what more workers bring; and who answers beside silent clients.
void measure_stages(const MeasureOptions& options, std::FILE* csv);
void measure_queue(const MeasureOptions& options, std::FILE* csv);
void measure_workers(const MeasureOptions& options, std::FILE* csv);
void measure_freeze(const MeasureOptions& options, std::FILE* csv);
void measure_connections(const MeasureOptions& options, std::FILE* csv);

}  // namespace unfreeze
