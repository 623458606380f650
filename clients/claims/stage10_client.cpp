// Stage 10 is put under the same load, and told to end in the middle of its work.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 10,
         .load = {.requests = 5'000, .concurrency = 200, .keep_alive = true, .rate = 12'937},
         .claims = {"adds-up", "overload", "lost-update", "parallel-jobs", "drain"},
         .users = 100,
         .overloads = true});
}
