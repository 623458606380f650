// Stage 1 works as long as everybody talks: the load is answered without an error. Then one client
// says nothing.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 1,
         .load = {.requests = 5'000, .concurrency = 50},
         .claims = {"byte-by-byte", "vanishing", "silent-client", "twenty-silent"}});
}
