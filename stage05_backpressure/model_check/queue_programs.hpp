#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stage05_backpressure/bounded_queue.hpp"
#include "stage05_backpressure/model_check/explorer.hpp"

// Small programs that use the queue; the explorer runs each in every order of its threads.
namespace unfreeze {

/// The number of threads of each kind. With a closer, poppers pop until the end. Without one, each
/// pops its share of the items and must get it, because a close would hide a missing wake-up.
struct QueueProgram {
    std::string name;
    std::size_t capacity = 1;
    int pushers = 0;
    int items = 1;       // per pusher
    bool tries = false;  // pushers call try_push once for each item
    int poppers = 0;
    int closers = 0;
    std::size_t known_poppers = 0;  // `poppers` of the queue's constructor
    bool pauses = false;            // a point before close
    std::size_t spurious_max = 0;   // spurious wake-ups per schedule
};

/// The number of an item that has been moved from.
inline constexpr int no_item = 0;

struct QueueItem {
    QueueItem(int its_number = no_item) : number{its_number} {}
    QueueItem(QueueItem&& other) noexcept : number{std::exchange(other.number, no_item)} {}
    QueueItem& operator=(QueueItem&& other) noexcept {
        number = std::exchange(other.number, no_item);
        return *this;
    }
    int number;
};

/// A queue, its operations, and a check of their results. They must be those of sequential
/// operations, in the order in which the operations held the mutex last (linearizability). So no
/// item is lost, duplicated or reordered, no item is accepted after close, and pop ends when the
/// queue is drained.
class QueueRun {
public:
    QueueRun(std::size_t capacity, std::size_t poppers)
        : queue_{capacity, poppers}, poppers_{poppers} {}

    PushStatus push(const std::string& thread, int number, bool tries) {
        const std::size_t before = Explorer::locks();
        QueueItem item{number};
        const PushStatus status =
            tries ? queue_.try_push(std::move(item)) : queue_.push(std::move(item));
        const bool kept = item.number == number;  // NOLINT(bugprone-use-after-move): if refused
        record(before,
               {thread, tries ? Kind::try_push : Kind::push, number,
                words(status) + (kept || status == PushStatus::success ? "" : ", but moved from")});
        return status;
    }

    /// Returns whether there was an item.
    bool pop(const std::string& thread) {
        const std::size_t before = Explorer::locks();
        const std::optional<QueueItem> item = queue_.pop();
        record(before, {thread, Kind::pop, no_item, item ? words(item->number) : "the end"});
        return item.has_value();
    }

    void close(const std::string& thread) {
        const std::size_t before = Explorer::locks();
        queue_.close();
        record(before, {thread, Kind::close, no_item, "closed"});
    }

    /// The first wrong result in words; empty if there is none.
    std::string fault() {
        std::stable_sort(operations_.begin(), operations_.end(),
                         [](const auto& a, const auto& b) { return a.place < b.place; });
        std::deque<int> items;
        bool closed = false;
        for (const auto& [thread, kind, item, answer, first, place] : operations_) {
            std::string due = "to wait";
            if (kind == Kind::close) {
                due = "closed";
                closed = true;
            } else if (kind == Kind::pop && !items.empty()) {
                due = words(items.front());
                items.pop_front();
            } else if (kind == Kind::pop && closed) {
                due = "the end";
            } else if (kind != Kind::pop && closed) {
                due = words(PushStatus::closed);
            } else if (kind != Kind::pop && items.size() < room_at(place)) {
                due = words(PushStatus::success);
                items.push_back(item);
            } else if (kind == Kind::try_push) {
                due = words(PushStatus::full);
            }
            if (answer != due) {
                return thread + (kind == Kind::pop ? ", popping" : ", pushing " + words(item)) +
                       ": the result is " + answer + ", expected " + due;
            }
        }
        return queue_.size() == items.size() ? "" : "size() is wrong";
    }

private:
    enum class Kind { push, try_push, pop, close };

    struct Operation {
        std::string thread;
        Kind kind;
        int item;  // pushed
        std::string answer;
        std::size_t first = 0;  // its first lock, in the order in which the mutex was locked ...
        std::size_t place = 0;  // ... and its last one
    };

    /// The queue's capacity when the mutex is locked for the place-th time: one more for each
    /// popper that waits then, up to the known poppers.
    std::size_t room_at(std::size_t place) const {
        const auto waiting =
            std::count_if(operations_.begin(), operations_.end(), [place](const Operation& other) {
                return other.kind == Kind::pop && other.first < place && place < other.place;
            });
        return queue_.capacity() + std::min(static_cast<std::size_t>(waiting), poppers_);
    }

    static std::string words(PushStatus status) {
        return status == PushStatus::success ? "success"
               : status == PushStatus::full  ? "full"
                                             : "closed";
    }
    static std::string words(int item) { return "item " + std::to_string(item); }

    /// An operation without a lock comes after all earlier locks.
    void record(std::size_t locks_before, Operation operation) {
        operation.first = Explorer::first_lock(locks_before);
        operation.place = std::max(locks_before, Explorer::last_lock());
        operations_.push_back(std::move(operation));
    }

    BoundedQueue<QueueItem, ExplorerMutex, ExplorerCondition> queue_;
    const std::size_t poppers_;
    std::vector<Operation> operations_;  // not guarded: the explorer's threads run one at a time
};

inline Exploration explore(const QueueProgram& program) {
    const auto make = [&program] {
        const auto run = std::make_shared<QueueRun>(program.capacity, program.known_poppers);
        Program made;
        made.fault = [run] { return run->fault(); };
        const auto add = [&made](const std::string& kind, int count, const auto& body) {
            for (int i = 1; i <= count; ++i) {
                const std::string name = kind + " " + std::to_string(i);
                made.threads.push_back({name, [=] { body(name, i); }, i > 1});
            }
        };
        add("pusher", program.pushers, [&program, run](const std::string& name, int pusher) {
            for (int i = 1; i <= program.items; ++i) {
                if (run->push(name, 10 * pusher + i, program.tries) == PushStatus::closed) {
                    return;
                }
            }
        });
        const int items = program.pushers * program.items;
        // If pop never ends, the popper stops one pop later, and fault() reports it.
        const int pops = program.closers > 0 ? items + 1 : items / std::max(1, program.poppers);
        add("popper", program.poppers, [pops, run](const std::string& name, int) {
            for (int i = 0; i < pops && run->pop(name); ++i) {
            }
        });
        add("closer", program.closers, [&program, run](const std::string& name, int) {
            if (program.pauses) {
                Explorer::pause();
            }
            run->close(name);
        });
        return made;
    };
    return Explorer{make, program.spurious_max}.explore();
}

/// All programs, the cheap ones first.
inline std::vector<QueueProgram> queue_programs() {
    return {
        {.name = "1 popper, close", .poppers = 1, .closers = 1, .pauses = true},
        {.name = "2 poppers, close, 1 spurious wake-up",
         .poppers = 2,
         .closers = 1,
         .pauses = true,
         .spurious_max = 1},
        {.name = "2 pushers of 2 items, close",
         .pushers = 2,
         .items = 2,
         .closers = 1,
         .pauses = true},
        {.name = "1 pusher of 3 items, 1 popper, 1 spurious wake-up",
         .pushers = 1,
         .items = 3,
         .poppers = 1,
         .spurious_max = 1},
        {.name = "1 pusher of 2 items, 1 popper, close",
         .pushers = 1,
         .items = 2,
         .poppers = 1,
         .closers = 1,
         .pauses = true},
        {.name = "1 pusher, 1 popper, close twice", .pushers = 1, .poppers = 1, .closers = 2},
        {.name = "2 pushers, 2 poppers, 1 spurious wake-up",
         .pushers = 2,
         .poppers = 2,
         .spurious_max = 1},
        {.name = "2 pushers, 2 poppers, room for 2", .capacity = 2, .pushers = 2, .poppers = 2},
        {.name = "2 pushers that only try, 2 poppers, room for 2",
         .capacity = 2,
         .pushers = 2,
         .tries = true,
         .poppers = 2},
        {.name = "1 pusher that only tries 3 items, 1 known popper, close",
         .pushers = 1,
         .items = 3,
         .tries = true,
         .poppers = 1,
         .closers = 1,
         .known_poppers = 1},
        {.name = "2 pushers that only try, 2 known poppers, close",
         .pushers = 2,
         .tries = true,
         .poppers = 2,
         .closers = 1,
         .known_poppers = 2},
        {.name = "2 pushers of 2 items, 1 known popper",
         .pushers = 2,
         .items = 2,
         .poppers = 1,
         .known_poppers = 1},
        {.name = "1 pusher, 2 poppers, close, 1 spurious wake-up",
         .pushers = 1,
         .poppers = 2,
         .closers = 1,
         .spurious_max = 1},
        {.name = "2 pushers, 1 popper, close, 1 spurious wake-up",
         .pushers = 2,
         .poppers = 1,
         .closers = 1,
         .spurious_max = 1},
        {.name = "2 pushers of 2 items, 1 popper, room for 2",
         .capacity = 2,
         .pushers = 2,
         .items = 2,
         .poppers = 1},
        {.name = "2 pushers that only try, 2 poppers, close",
         .pushers = 2,
         .tries = true,
         .poppers = 2,
         .closers = 1},
        {.name = "2 pushers, 2 poppers, close", .pushers = 2, .poppers = 2, .closers = 1},
    };
}

}  // namespace unfreeze
