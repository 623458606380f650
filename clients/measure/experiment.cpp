// Runs one of the experiments on the servers of this course.
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
    void (*run)(const MeasureOptions& options, std::FILE* csv);
};
constexpr std::array<Experiment, 8> experiments{{{"contention", measure_contention},
                                                 {"sharding", measure_sharding},
                                                 {"lock-granularity", measure_lock_granularity},
                                                 {"stage-throughput", measure_stage_throughput},
                                                 {"queue-capacity", measure_queue_capacity},
                                                 {"workers", measure_workers},
                                                 {"freeze", measure_freeze},
                                                 {"connections", measure_connections}}};

}  // namespace

int main(int argc, char** argv) {
    using namespace std::chrono_literals;
    std::string name = "contention";
    std::string file = "/dev/null";
    MeasureOptions options;
    CommandLine command_line{"Measures servers, changing one thing at a time."};
    command_line.add("experiment", name, "one of: " + names_of(experiments));
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--seconds", options.seconds, 1, 600,
                     "to measure for each row, in experiments about locks");
    command_line.add("--rows", options.rows, 1, 1'000, "measure only the first rows");
    // At most these, because one worker with a queue of 100 and one lock with a queue of 1,000 must
    // drain it within the minute that measure_overload() waits.
    command_line.add("--work-ms", options.work_ms, 10ms, 500ms,
                     "duration of a job, in experiments about locks and workers");
    command_line.add("--hold-ms", options.hold_ms, 10ms, 50ms,
                     "how long a job then holds the lock");
    command_line.parse(argc, argv);
    if (options.work_ms % 10 != 0ms || options.hold_ms % 10 != 0ms) {
        fail(
            "--work-ms and --hold-ms must be multiples of 10: the sharding experiment also uses a "
            "tenth of them");
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
