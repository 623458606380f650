// Stage 8 is offered what stage 7 was, and then what the notes that this course grew from offered
// their sharded server, configured as they had it.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 8,
         .load = {.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'937},
         .claims = {"one-lock", "hot-user", "parallel-jobs", "lost-update", "overload"},
         .users = 100,
         .other_run = {.server_flags = "--queue-capacity 1000 --work-ms 10 --hold-ms 1",
                       .rate = 10'799,
                       .beside = "the notes that this course grew from: accepted 1536 of 5000"},
         .overloads = true});
}
