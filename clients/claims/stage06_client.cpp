// Stage 6 is offered more than its workers can do, for a while, so that they never rest: the rate
// at which it gets work done is theirs.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 6,
         .load = {.requests = 500, .concurrency = 50, .keep_alive = true, .rate = 100},
         .claims = {"parallel-jobs", "lost-update", "letter-case", "query-beside-work", "overload"},
         .overloads = true});
}
