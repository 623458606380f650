#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace unfreeze {

/// Metrics in the text format of Prometheus.
struct Exposition {
    struct Sample {
        std::string line;  // as it was sent
        std::string name;  // with its labels
        double value = 0;
    };
    std::vector<Sample> samples;
    std::size_t types = 0;  // of # TYPE lines
    std::string fault;      // the first line that is malformed, and why; empty if there is none

    /// Whether a sample with this part in its name or labels has this value, or all of them in sum.
    [[nodiscard]] bool has(std::string_view part, double value) const;

    /// The samples with this part: "events_received_total 3".
    [[nodiscard]] std::string lines_about(std::string_view part) const;
};

[[nodiscard]] Exposition parse_exposition(std::string_view text);

}  // namespace unfreeze
