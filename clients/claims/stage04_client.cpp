// Stage 4 gets two events done a second, however many clients ask for it at a time: each of them
// waits for all that came before. No update is lost.
#include "clients/claims/stage_client.hpp"

int main(int argc, char** argv) {
    using namespace std::chrono_literals;
    return unfreeze::run_stage_client(
        argc, argv,
        {.stage = 4,
         .load = {.requests = 8, .concurrency = 8, .timeout_ms = 1min},
         .claims = {"slow-work", "lost-update", "query-beside-work", "overload"},
         .first_concurrency = 1});
}
