#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "clients/load.hpp"

namespace unfreeze {

/// What one stage's client does: a load, and the claims that the stage is about.
struct StageClient {
    std::size_t stage;
    LoadOptions load;
    std::vector<std::string_view> claims;
    std::size_t silent_clients = 0;  // connected all through the load, saying nothing
    std::size_t first_concurrency =
        0;                         // the same load runs so many at a time before; 0: it doesn't
    std::string_view beside = {};  // said behind the load, to compare its figures with
    bool overloads = false;        // the load is more than the server can do: 503 is no failure
};

/// The main() of a stage's client. Flags change the load and name the server: one that runs
/// (--server) or one to run (--spawn). From stage 4 on the load's events are for one user, whose
/// balance tells how much has been worked on. Prints what was measured and a verdict. Exit status:
/// 0 where every claim came out as taught and no request of a load failed, 1 where not, 2 where
/// there is no server.
int run_stage_client(int argc, char** argv, StageClient client);

}  // namespace unfreeze
