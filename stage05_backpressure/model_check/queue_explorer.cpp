#include <cstddef>
#include <cstdio>
#include <string>

#include "stage05_backpressure/model_check/queue_programs.hpp"

// Runs all programs on the compiled queue. Exits with 1 at the first fault.
int main() {
    for (const unfreeze::QueueProgram& program : unfreeze::queue_programs()) {
        const unfreeze::Exploration found = unfreeze::explore(program);
        if (found.fault.empty()) {
            std::printf("%s: %zu schedules, no fault\n", program.name.c_str(), found.schedules);
        } else {
            std::printf("%s: FAULT after %zu schedules: %s\n", program.name.c_str(),
                        found.schedules, found.fault.c_str());
            for (const std::string& step : found.steps) {
                std::printf("    %s\n", step.c_str());
            }
            return 1;
        }
    }
    return std::fflush(stdout) == 0 ? 0 : 2;
}
