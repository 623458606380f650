#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "clients/probe/course.hpp"
#include "clients/probe/target.hpp"

namespace unfreeze {

/// What an experiment found: whether the claim holds for this server, and the figure that shows it.
struct Finding {
    bool holds = false;
    std::string figure;        // "no answer in 1000 ms", "refused 200 of 200, next client served"
    std::string summary = {};  // the same for a table: "frozen", "200/200"
};

/// One thing that the course teaches: a sentence, an experiment over the wire that any server can
/// be put to, and the stages in which the sentence is true. In all others the experiment must fail:
/// a stage that stops failing as expected is as broken as one that stops working.
struct Claim {
    std::string_view name;      // for the command line: "silent-client"
    std::string_view sentence;  // for people
    std::size_t first_stage;    // it holds from here ...
    std::size_t last_stage;     // ... up to here
    std::function<Finding(const Target&)> experiment;

    struct Traits {
        bool ends_the_server = false;  // so it comes last, and takes a server that was started here
        bool defect = false;           // what a stage suffers from: nothing to be reached
        bool exclusive = false;        // its figure is a time, or it puts load on the machine
    };
    Traits traits = {};

    bool holds_in(std::size_t stage) const { return first_stage <= stage && stage <= last_stage; }

    /// "holds in stage 1 alone", "holds from stage 3 on".
    std::string range() const;
};

/// All claims, in the order in which the course comes to them.
std::span<const Claim> all_claims();

/// One of them. Its name is known to exist.
const Claim& claim(std::string_view name);

}  // namespace unfreeze
