// Stage 3 answers whoever makes sense, on connections that last, and refuses everything else.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 3,
         .load = {.requests = 50'000, .concurrency = 200, .keep_alive = true},
         .claims = {"twenty-silent", "letter-case", "pipelining", "garbage", "noise", "large-body",
                    "vanishing"},
         .silent_clients = 20});
}
