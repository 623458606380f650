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
};

/// The main() of a stage's client. Flags change the load and name the server: one that runs
/// (--server) or one to run (--spawn). Prints what was measured and a verdict. Exit status: 0 where
/// every claim came out as taught and no request failed, 1 where not, 2 where there is no server.
int run_stage_client(int argc, char** argv, StageClient client);

}  // namespace unfreeze
