// Runs one of the experiments on this course's own servers.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "clients/measure/measurements.hpp"
#include "clients/probe/choice.hpp"
#include "clients/probe/process.hpp"
#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "common/log.hpp"

namespace {

using namespace unfreeze;

struct Experiment {
    std::string_view name;
    std::string_view what;
    void (*run)(const MeasureOptions& options, std::FILE* csv);
};
constexpr std::array<Experiment, 8> experiments{
    {{"contention", "more and more workers", measure_contention},
     {"sharding", "what it gives, and what a queue and less work do", measure_sharding},
     {"levels", "from one lock to one for each user", measure_levels},
     {"stages", "the first five, each under its load", measure_stages},
     {"queue", "how long one waits in it, and what its places cost", measure_queue},
     {"workers", "a hundred jobs in more and more hands", measure_workers},
     {"freeze", "who answers beside silent clients", measure_freeze},
     {"connections", "what silent ones cost", measure_connections}}};

}  // namespace

int main(int argc, char** argv) {
    using namespace std::chrono_literals;
    std::string name = "contention";
    std::string file = "/dev/null";
    MeasureOptions options;
    std::string list;
    for (const Experiment& experiment : experiments) {
        list += fmt::format("{}{}: {}", list.empty() ? "" : "; ", experiment.name, experiment.what);
    }
    CommandLine command_line{"Changes one thing at a time, and measures."};
    command_line.add("experiment", name, list);
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--seconds", options.seconds, 1, 600, "to measure, for each row, of locks");
    command_line.add("--rows", options.rows, 1, 1'000, "to measure at most, the first ones");
    // One worker with a queue of 100, or one lock with a queue of 1,000, has to work it off in the
    // minute that measure_overload() gives it.
    command_line.add("--work-ms", options.work_ms, 10ms, 500ms,
                     "time that the work on an event takes, of locks and workers");
    command_line.add("--hold-ms", options.hold_ms, 10ms, 50ms, "time that it then holds the lock");
    command_line.parse(argc, argv);
    if (options.work_ms % 10 != 0ms || options.hold_ms % 10 != 0ms) {
        fail("--work-ms and --hold-ms must be multiples of 10, as a tenth of them is tried, too");
    }
    const Experiment& chosen = choose("experiment", name, experiments);
    raise_descriptor_limit();
    std::FILE* const csv = open_csv(file);
    try {
        chosen.run(options, csv);
    } catch (const std::exception& error) {
        fail(fmt::format("no figures: {}", error.what()));
    }
    close_csv(csv, file);
    finish_output();
}
