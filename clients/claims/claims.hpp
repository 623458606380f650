#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/probe/course.hpp"
#include "clients/probe/target.hpp"

namespace unfreeze {

/// A part of an experiment that did not come out as expected.
struct Failure {
    std::string sent;           // the bytes, or what they were in words if there are too many
    std::string expected;       // "400, within 1000 ms"
    std::string got;            // "202 {"status":"accepted"} after 0.3 ms"
    bool by_framework = false;  // HTTP libraries decide this, and may not let a server do better
    bool timed = false;         // something took too long
    std::string by_hand = {};   // a shell command that repeats it, if `sent` is not bytes
};

/// The result of an experiment: whether the claim holds for this server, and the figure measured.
struct Finding {
    bool holds = false;
    std::string figure;        // "no answer in 1000 ms", "rejected 200 of 200, next client served"
    std::string summary = {};  // the figure in a table cell: "frozen", "200/200"

    /// Whether the experiment could test the sentence. If the server lacks something that it needs,
    /// such as balances, that is the server's fault; if it could not measure, it is not.
    enum class Test { done, impossible, unknown };
    Test test = Test::done;
    std::vector<Failure> failures = {};
};

/// A statement about a server, an experiment that tests it over the wire, and the stages in which
/// it holds. In all other stages the experiment must fail: a stage that stops failing as expected
/// is as broken as one that stops working.
struct Claim {
    std::string_view name;      // in programs and patches: "idle-client"
    std::string_view sentence;  // in everything that a person reads
    std::size_t first_stage;    // the first stage in which it holds
    std::size_t last_stage;     // the last one
    std::function<Finding(const Target&)> experiment;
    std::string_view expected;  // the figure that `check` expects

    struct Traits {
        bool ends_the_server = false;  // so it runs last, and only if the server was started here
        bool defect = false;           // a stage's defect, which a later stage fixes
        bool exclusive = false;        // measures a time or puts on load: run nothing beside it
    };
    Traits traits = {};

    /// What `check --contract` says about it. Empty if `check` never tests the claim.
    struct Contract {
        std::string_view sent;
        std::string_view accepted;  // with each bound
        std::string_view why;
        std::string_view by_framework = {};  // the part that an HTTP library may not allow
    };
    Contract contract = {};

    std::string_view goal = sentence;  // that `check` tests: for a defect, the opposite

    bool holds_in(std::size_t stage) const { return first_stage <= stage && stage <= last_stage; }

    /// The stage whose server first has to meet the goal: for a defect, the stage that fixes it, or
    /// nothing if no stage does.
    std::optional<std::size_t> due_in() const;

    /// "only in stage 1", "from stage 3 on".
    std::string range() const;
};

/// All claims, in the order of the course.
std::span<const Claim> all_claims();

/// The claim of this name, which must exist.
const Claim& claim(std::string_view name);

}  // namespace unfreeze
