// Stage 5 is offered a hundred thousand events at once. It takes what its queue has room for, and
// refuses the rest as fast as it would have taken them.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 5,
         .load = {.requests = 100'000, .concurrency = 50, .keep_alive = true},
         .claims = {"slow-work", "lost-update", "query-beside-work", "parallel-jobs", "overload"},
         .overloads = true});
}
