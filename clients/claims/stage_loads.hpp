#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <vector>

#include "clients/probe/course.hpp"
#include "clients/probe/load.hpp"

namespace unfreeze {

/// The same load again, on a server that is started with other flags.
struct SecondRun {
    std::string_view server_flags = {};  // empty: there is no second run
    std::size_t rate = 0;
    std::string_view reference = {};
};

/// The load that the client puts on one stage, and the claims that it checks afterwards.
struct StageLoad {
    LoadOptions load;
    std::vector<std::string_view> claims;
    std::size_t idle_connections = 0;   // open during the load
    std::size_t first_concurrency = 0;  // of a run of the same load before it; 0: there is none
    std::size_t users = 1;              // that the events are spread over
    std::string_view reference = {};    // figures to compare with, printed after the load
    SecondRun second_run = {};          // if the client starts the server
    bool sweeps_workers = false;        // measures 1 to 64 workers, if it starts the server
    bool overloads = false;             // more than the server can process: 503 is no failure
};

/// Stage N is at N - 1.
inline const std::array<StageLoad, last_stage> stage_loads{{
    // If every client sends, stage 1 answers this load without an error. Then the claims connect an
    // idle client.
    {.load = {.requests = 5'000, .concurrency = 50},
     .claims = {"byte-by-byte", "client-resets", "idle-client", "idle-connections"}},

    // Idle connections do not delay stage 2. But it accepts any bytes, also garbage.
    {.load = {.requests = 10'000, .concurrency = 200},
     .claims = {"idle-client", "idle-connections", "client-resets", "garbage", "large-body"},
     .idle_connections = 20},

    // Stage 3 keeps connections open and rejects invalid requests.
    {.load = {.requests = 50'000, .concurrency = 200, .keep_alive = true},
     .claims = {"idle-connections", "case-insensitive", "pipelining", "garbage", "random-bytes",
                "large-body", "client-resets"},
     .idle_connections = 20},

    // Stage 4 processes two events a second, however many clients send them: each event waits for
    // all earlier ones. No update is lost.
    {.load = {.requests = 8, .concurrency = 8, .timeout_ms = std::chrono::minutes{1}},
     .claims = {"slow-work", "lost-update", "query-during-work", "overload"},
     .first_concurrency = 1},

    // Stage 5 gets a hundred thousand events at once. It accepts as many as fit into its queue, and
    // rejects the rest just as fast.
    {.load = {.requests = 100'000, .concurrency = 50, .keep_alive = true},
     .claims = {"slow-work", "lost-update", "query-during-work", "parallel-jobs", "overload"},
     .overloads = true},

    // For five seconds, stage 6 gets more events than its workers can process. So no worker is
    // idle, and the throughput is that of the workers.
    {.load = {.requests = 500, .concurrency = 50, .keep_alive = true, .rate = 100},
     .claims = {"parallel-jobs", "lost-update", "case-insensitive", "query-during-work",
                "overload"},
     .overloads = true},

    // Stage 7 gets the load of an older course: 5,000 requests, 200 at a time.
    {.load = {.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'937},
     .claims = {"one-lock", "hot-user", "parallel-jobs", "lost-update", "overload"},
     .reference = "an older course accepted 138 of 5000 (./lab notes accepted-requests)",
     .sweeps_workers = true,
     .overloads = true},

    // Stage 8 gets the load of stage 7, and then the load and the configuration that the original
    // notes had for their sharded server.
    {.load = {.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'937},
     .claims = {"one-lock", "hot-user", "parallel-jobs", "lost-update", "overload"},
     .users = 100,
     .second_run = {.server_flags = "--queue-capacity 1000 --work-ms 10 --hold-ms 1",
                    .rate = 10'799,
                    .reference = "an older course accepted 1536 of 5000 (./lab notes accepted-events)"},
     .overloads = true},

    // Stage 9 gets the load of stage 8, so the cost of counting would show in the same figures.
    {.load = {.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'937},
     .claims = {"counters-add-up", "overload", "lost-update", "parallel-jobs", "drain"},
     .users = 100,
     .overloads = true},

    // Stage 10 gets the same load, and a SIGTERM while it has work in flight.
    {.load = {.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'937},
     .claims = {"counters-add-up", "overload", "lost-update", "parallel-jobs", "drain"},
     .users = 100,
     .overloads = true},
}};

}  // namespace unfreeze
