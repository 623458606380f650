#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "clients/probe/load.hpp"

namespace unfreeze {

/// The same load once more, on the server as somebody else had configured it who told his figures.
struct OtherRun {
    std::string_view server_flags = {};  // empty: there is no such run
    std::size_t rate = 0;
    std::string_view beside = {};
};

/// What one stage's client does: a load, and the claims that the stage is about.
struct StageClient {
    std::size_t stage;
    LoadOptions load;
    std::vector<std::string_view> claims;
    std::size_t silent_clients = 0;     // connected all through the load, saying nothing
    std::size_t first_concurrency = 0;  // the load runs so many at a time before; 0: it doesn't
    std::size_t users = 1;              // that the events are for, in turn
    std::string_view beside = {};       // said behind the load, to compare its figures with
    OtherRun other_run = {};            // where the server is started here, and takes the flags
    bool sweeps_workers = false;        // the rate with 1 to 64 of them, where it is started here
    bool overloads = false;             // more than the server can do: 503 is no failure
};

/// The main() of a stage's client. Flags change the load and name the server: one that runs
/// (--server) or one to run (--spawn). From stage 4 on the load's events are for users of its
/// own, whose balances tell how much has been worked on. Prints what was measured and a verdict.
/// Exit status: 0 where every claim came out as taught and no request of a load failed, 1 where
/// not, 2 where there is no server.
int run_stage_client(int argc, char** argv, StageClient client);

}  // namespace unfreeze
