// Stage 2 does not mind the silent: they are connected all through the load. It minds nothing else
// either, garbage included.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 2,
         .load = {.requests = 10'000, .concurrency = 200},
         .claims = {"silent-client", "twenty-silent", "vanishing", "garbage", "large-body"},
         .silent_clients = 20});
}
