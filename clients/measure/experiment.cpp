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
    std::string_view what;
    void (*run)(const MeasureOptions& options, std::FILE* csv);
};
constexpr std::array<Experiment, 8> experiments{
    {{"contention", "1 to 64 workers", measure_contention},
     {"sharding", "more locks, shorter work, a longer queue", measure_sharding},
     {"lock-granularity", "from one lock to one lock for each user", measure_lock_granularity},
     {"stage-throughput", "stages 1 to 5, each under its load", measure_stage_throughput},
     {"queue-capacity", "wait and memory of queues", measure_queue_capacity},
     {"workers", "100 jobs with 1 to 16 workers", measure_workers},
     {"freeze", "response times beside idle clients", measure_freeze},
     {"connections", "threads and memory of idle connections", measure_connections}}};

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
    CommandLine command_line{"Measures servers, changing one thing at a time."};
    command_line.add("experiment", name, list);
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
            "--work-ms and --hold-ms must be multiples of 10, because a tenth of them is also "
            "used");
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
