// Stage 7 is offered what the notes that this course grew from offered it: 5,000 requests, 200 at a
// time.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 7,
         .load = {.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'937},
         .claims = {"one-lock", "hot-user", "parallel-jobs", "lost-update", "overload"},
         .beside = "the notes that this course grew from: accepted 138 of 5000",
         .sweeps_workers = true,
         .overloads = true});
}
