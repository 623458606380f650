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
#include "stage05_backpressure/explorer.hpp"

// Small programs that put the queue through every order in which their threads could run.
namespace unfreeze {

/// So many threads of each kind. Where somebody closes, poppers pop until they are told of the end;
/// where nobody does, each pops its share of what is pushed, and must get it.
struct QueueProgram {
    std::string name;
    std::size_t capacity = 1;
    int pushers = 0;
    int items = 1;       // from each pusher
    bool tries = false;  // pushers do not wait: each item is tried once
    int poppers = 0;
    int closers = 0;
    std::size_t spurious_max = 0;
    bool pauses = false;
};

/// Which item is none: what an item becomes when it is moved from.
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

/// What a thread asked of the queue and what it got.
struct QueueOperation {
    enum Kind { push, try_push, pop, close };
    std::string thread;
    Kind kind;
    int item = no_item;                       // pushed or popped
    int kept = no_item;                       // what the pusher has left of it
    PushStatus status = PushStatus::success;  // of a push
    std::size_t place = 0;                    // in the order in which the mutex was locked
};

/// A queue, what is asked of it, and whether the answers were right: they must be those of a queue
/// that is asked one thing at a time, in the order in which the operations held the mutex last. So
/// no item is lost or comes twice, all keep their order, nothing gets in once the queue is closed,
/// and the end is told once all is out.
class QueueRun {
public:
    explicit QueueRun(std::size_t capacity) : queue_{capacity} {}

    PushStatus push(const std::string& thread, int number, bool tries) {
        QueueItem item{number};
        QueueOperation operation{thread, tries ? QueueOperation::try_push : QueueOperation::push,
                                 number};
        const std::size_t before = Explorer::locks();
        operation.status = tries ? queue_.try_push(std::move(item)) : queue_.push(std::move(item));
        operation.kept = item.number;
        record(operation, before);
        return operation.status;
    }

    /// Whether there was an item.
    bool pop(const std::string& thread) {
        QueueOperation operation{thread, QueueOperation::pop};
        const std::size_t before = Explorer::locks();
        const std::optional<QueueItem> item = queue_.pop();
        operation.item = item ? item->number : no_item;
        record(operation, before);
        return item.has_value();
    }

    void close(const std::string& thread) {
        const std::size_t before = Explorer::locks();
        queue_.close();
        record({thread, QueueOperation::close}, before);
    }

    /// The first wrong answer in words; empty if there is none.
    std::string fault() {
        std::stable_sort(operations_.begin(), operations_.end(),
                         [](const auto& a, const auto& b) { return a.place < b.place; });
        std::deque<int> items;
        bool closed = false;
        for (const QueueOperation& operation : operations_) {
            const std::string who = operation.thread + ": ";
            const std::string number = std::to_string(operation.item);
            switch (operation.kind) {
                case QueueOperation::close: closed = true; break;
                case QueueOperation::pop: {
                    const int due = items.empty() ? no_item : items.front();
                    if (operation.item != due || (due == no_item && !closed)) {
                        return who + "pops " + number + " where " + std::to_string(due) +
                               " is due (0 is none)";
                    }
                    if (!items.empty()) {
                        items.pop_front();
                    }
                    break;
                }
                default: {
                    const PushStatus due = closed                             ? PushStatus::closed
                                           : items.size() < queue_.capacity() ? PushStatus::success
                                                                              : PushStatus::full;
                    if (operation.status != due) {
                        return who + "is told " + words(operation.status) + " of item " + number +
                               " where the queue is " + words(due);
                    }
                    if (due == PushStatus::success) {
                        items.push_back(operation.item);
                    }
                    if (operation.kept != (due == PushStatus::success ? no_item : operation.item)) {
                        return who + "has lost item " + number + ", which was refused";
                    }
                }
            }
        }
        return queue_.size() == items.size() ? "" : "the queue holds another number of items";
    }

private:
    static std::string words(PushStatus status) {
        return status == PushStatus::success ? "success"
               : status == PushStatus::full  ? "full"
                                             : "closed";
    }

    /// One that took no lock has its place behind those locked before it.
    void record(QueueOperation operation, std::size_t locks_before) {
        operation.place = std::max(locks_before, Explorer::last_lock());
        operations_.push_back(std::move(operation));
    }

    BoundedQueue<QueueItem, ExplorerMutex, ExplorerCondition> queue_;
    std::vector<QueueOperation> operations_;  // the explorer's threads run one at a time
};

inline Exploration explore(const QueueProgram& program) {
    const auto make = [&program] {
        const auto run = std::make_shared<QueueRun>(program.capacity);
        Program made;
        for (int i = 1; i <= program.pushers; ++i) {
            const std::string name = "pusher " + std::to_string(i);
            made.threads.push_back({name,
                                    [=] {
                                        for (int item = 1; item <= program.items; ++item) {
                                            if (run->push(name, 10 * i + item, program.tries) ==
                                                PushStatus::closed) {
                                                return;
                                            }
                                        }
                                    },
                                    i > 1});
        }
        const int pushed = program.pushers * program.items;
        for (int i = 1; i <= program.poppers; ++i) {
            const std::string name = "popper " + std::to_string(i);
            // One pop more than there are items is one too many, and the run's fault.
            const int pops = program.closers > 0 ? pushed + 1 : pushed / program.poppers;
            made.threads.push_back({name,
                                    [=] {
                                        for (int popped = 0; popped < pops && run->pop(name);
                                             ++popped) {
                                        }
                                    },
                                    i > 1});
        }
        for (int i = 1; i <= program.closers; ++i) {
            const std::string name = "closer " + std::to_string(i);
            made.threads.push_back({name,
                                    [=] {
                                        if (program.pauses) {
                                            Explorer::pause();
                                        }
                                        run->close(name);
                                    },
                                    i > 1});
        }
        made.fault = [run] { return run->fault(); };
        return made;
    };
    return Explorer{make, program.spurious_max}.explore();
}

}  // namespace unfreeze
