// Stage 9 is offered what stage 8 was: what it costs to count would show in the same figures.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 9,
         .load = {.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'937},
         .claims = {"adds-up", "overload", "lost-update", "parallel-jobs", "drain"},
         .users = 100,
         .overloads = true});
}
