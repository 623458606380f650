#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace unfreeze {

/// A program for one schedule: its threads, and a check that runs when they have ended. The check
/// returns the fault in words, or an empty text.
struct Program {
    struct Thread {
        std::string name;
        std::function<void()> body;
        /// The thread does the same as the thread before it. Then that one always takes the first
        /// step of the two, because the other schedules are the same with the names exchanged.
        bool twin = false;
    };
    std::vector<Thread> threads;
    std::function<std::string()> fault;
};

struct Exploration {
    std::size_t schedules = 0;       // that ran to the end
    std::string fault;               // of the last schedule; empty if it had none
    std::vector<std::string> steps;  // that led to the fault
};

class ExplorerCondition;

/// Replaces std::mutex. It and the condition do nothing on the thread that constructs and checks a
/// program, because no program thread runs meanwhile.
class ExplorerMutex {
public:
    void lock();
    void unlock() { held_ = false; }

private:
    friend class Explorer;
    bool held_ = false;
};

/// Replaces std::condition_variable. The search chooses which thread a notification wakes.
class ExplorerCondition {
public:
    void wait(std::unique_lock<ExplorerMutex>& lock);
    void notify_one();
    void notify_all();
};

/// Runs a program in every order in which its threads could run, and stops at the first fault. The
/// threads are real, but only the one that holds the baton runs. At its next point, the search
/// chooses the thread of the next step. Each schedule starts the program again, repeats the last
/// schedule up to its last choice with an untried alternative, takes that, and continues (depth
/// first).
///
/// The points are: before a lock, before a wait (with the mutex still held, so that a thread
/// without it can run between a check and the wait), before a notification, and pause(). Between
/// two points a thread may access only its own data and what the mutexes guard; after pause(),
/// anything.
///
/// Two adjacent steps without common data give the same result in either order, so one order is
/// enough. "Sleep sets" (Godefroid 1996) find these: a tried alternative is not tried again until a
/// step has data in common with it. They miss no state. A notification has data in common only with
/// steps on the same condition. All other steps count as accesses to everything that mutexes guard.
class Explorer {
public:
    /// `make` makes the same program each time. A schedule has at most `spurious_max` spurious
    /// wake-ups, which the standard allows: the program must neither break on them nor need them.
    explicit Explorer(std::function<Program()> make, std::size_t spurious_max = 0)
        : make_(std::move(make)), spurious_max_(spurious_max) {}
    ~Explorer();
    Explorer(const Explorer&) = delete;
    Explorer& operator=(const Explorer&) = delete;

    Exploration explore();

    /// A point before something that the calling thread does without a mutex.
    static void pause() { reach(State::pausing, nullptr, nullptr); }

    /// The number of locks by all threads so far; and, counted from 1 among them, the calling
    /// thread's last lock, and its first lock after the first `before` locks. 0 if there is none.
    static std::size_t locks() { return self_->explorer->locks_; }
    static std::size_t last_lock() { return self_->locks.empty() ? 0 : self_->locks.back(); }
    static std::size_t first_lock(std::size_t before) {
        const auto first = std::upper_bound(self_->locks.begin(), self_->locks.end(), before);
        return first == self_->locks.end() ? 0 : *first;
    }

private:
    friend ExplorerMutex;
    friend ExplorerCondition;

    enum class State {
        fresh,
        running,
        pausing,
        locking,
        waiting,
        asleep,
        notifying_one,
        notifying_all,
        ended
    };

    struct Thread {
        explicit Thread(Explorer* its) : explorer{its} {}

        Explorer* explorer;
        std::string name;
        std::function<void()> body = {};         // none: the thread is to end
        State state = State::fresh;              // what it does when it is chosen
        ExplorerMutex* mutex = nullptr;          // to be locked; when it waits, once it is awake
        ExplorerCondition* condition = nullptr;  // to wait on, asleep on, or to be notified
        Thread* elder = nullptr;                 // its twin, which begins
        std::size_t steps = 0;
        std::vector<std::size_t> locks = {};
        std::binary_semaphore baton{0};
        std::thread thread = {};
    };

    /// A step that could be next: a thread's, and whom it wakes if it notifies one.
    struct Choice {
        Thread* thread;
        Thread* woken = nullptr;
        bool operator==(const Choice&) const = default;
    };

    /// A place on the way where the search had a choice: options before `taken` are done with.
    struct Fork {
        std::vector<Choice> options;
        std::size_t taken = 0;
    };

    struct Abandoned {};  // unwinds a thread at the end of its schedule

    static constexpr std::size_t steps_max = 1000;  // per schedule

    static void reach(State state, ExplorerMutex* mutex, ExplorerCondition* condition);
    static bool in_common(const Choice& a, const Choice& b);
    void search();
    void run(const Program& program);
    void work(Thread& self);
    Thread* next();
    std::vector<Choice> options();
    std::vector<Thread*> sleepers_of(const Thread& thread) const;
    bool perform(const Choice& choice);

    static inline thread_local Thread* self_ = nullptr;

    const std::function<Program()> make_;
    const std::size_t spurious_max_;
    std::vector<std::unique_ptr<Thread>> threads_;
    std::binary_semaphore home_{0};  // search() has the baton again
    std::vector<Fork> path_;
    Exploration found_;

    // The current schedule:
    std::size_t depth_ = 0;         // forks passed
    std::vector<Choice> sleeping_;  // need not be tried
    std::size_t spurious_ = 0;      // wake-ups so far
    std::size_t locks_ = 0;
    bool over_ = false;   // the thread that gets the baton unwinds
    bool known_ = false;  // over early, because all that could follow has been tried
};

inline Explorer::~Explorer() {
    for (const auto& thread : threads_) {
        thread->body = nullptr;
        thread->baton.release();
        thread->thread.join();
    }
}

inline Exploration Explorer::explore() {
    std::thread{[this] {
        // All threads on one processor, which passes the baton faster.
        cpu_set_t processors;
        CPU_ZERO(&processors);
        CPU_SET(static_cast<std::size_t>(sched_getcpu()), &processors);
        pthread_setaffinity_np(pthread_self(), sizeof processors, &processors);
        search();
    }}.join();
    return found_;
}

inline void Explorer::search() {
    do {
        const Program program = make_();
        run(program);
        if (found_.fault.empty() && !known_) {
            found_.fault = program.fault();
        }
        found_.schedules += known_ ? 0 : 1;
        while (!path_.empty() && path_.back().taken + 1 == path_.back().options.size()) {
            path_.pop_back();
        }
        if (!path_.empty()) {
            ++path_.back().taken;
        }
    } while (found_.fault.empty() && !path_.empty());
}

inline void Explorer::run(const Program& program) {
    depth_ = spurious_ = locks_ = 0;
    over_ = known_ = false;
    sleeping_.clear();
    found_.steps.clear();
    assert(!program.threads.empty());
    for (std::size_t i = 0; i < program.threads.size(); ++i) {
        if (i == threads_.size()) {
            threads_.push_back(std::make_unique<Thread>(this));
            Thread& added = *threads_[i];
            added.thread = std::thread{[this, &added] { work(added); }};
        }
        threads_[i]->name = program.threads[i].name;
        threads_[i]->body = program.threads[i].body;
        threads_[i]->state = State::fresh;
        threads_[i]->elder = program.threads[i].twin ? threads_[i - 1].get() : nullptr;
        threads_[i]->steps = 0;
        threads_[i]->locks.clear();
    }
    next()->baton.release();
    home_.acquire();
    over_ = true;
    if (Thread* const left = next(); left != nullptr) {
        left->baton.release();
        home_.acquire();
    }
}

/// Runs one thread of the program, and of each later schedule's.
inline void Explorer::work(Thread& self) {
    self_ = &self;
    for (self.baton.acquire(); self.body; self.baton.acquire()) {
        try {
            if (!over_) {
                self.body();
            }
        } catch (const Abandoned&) {
        } catch (const std::exception& exception) {
            found_.fault = self.name + " throws: " + exception.what();
        }
        self.state = State::ended;
        Thread* const heir = next();
        (heir != nullptr ? heir->baton : home_).release();
    }
}

/// Announces the calling thread's next step, and returns when the search has chosen it.
inline void Explorer::reach(State state, ExplorerMutex* mutex, ExplorerCondition* condition) {
    if (self_ == nullptr) {
        return;
    }
    Thread& self = *self_;
    self.state = state;
    self.mutex = mutex;
    self.condition = condition;
    Thread* const heir = self.explorer->next();
    if (heir != &self) {
        (heir != nullptr ? heir->baton : self.explorer->home_).release();
        self.baton.acquire();
    }
    if (self.explorer->over_) {
        throw Abandoned{};
    }
}

/// Chooses and performs the next step, and returns its thread; null at the end of the schedule.
inline Explorer::Thread* Explorer::next() {
    if (over_) {  // the threads unwind one after the other
        for (const auto& thread : threads_) {
            if (thread->state != State::ended) {
                return thread.get();
            }
        }
        return nullptr;
    }
    while (found_.fault.empty()) {
        // Before its first point a thread accesses only its own data, so any order will do.
        for (const auto& thread : threads_) {
            if (thread->state == State::fresh) {
                thread->state = State::running;
                return thread.get();
            }
        }
        std::vector<Choice> choices = options();
        if (choices.empty()) {
            return nullptr;
        }
        if (depth_ == path_.size()) {
            std::erase_if(choices, [this](const Choice& choice) {
                return std::find(sleeping_.begin(), sleeping_.end(), choice) != sleeping_.end();
            });
            if (choices.empty()) {
                known_ = true;
                return nullptr;
            }
            path_.push_back({std::move(choices)});
        }
        const Fork& fork = path_[depth_++];
        const auto taken = fork.options.begin() + static_cast<std::ptrdiff_t>(fork.taken);
        sleeping_.insert(sleeping_.end(), fork.options.begin(), taken);
        std::erase_if(sleeping_, [&](const Choice& slept) { return in_common(slept, *taken); });
        if (perform(*taken)) {
            return taken->thread;
        }
    }
    return nullptr;
}

/// The possible next steps; none if the schedule ends here, with or without a fault.
inline std::vector<Explorer::Choice> Explorer::options() {
    std::vector<Choice> choices;
    std::vector<Choice> spurious;
    std::string left;  // threads that have not ended
    for (const auto& thread : threads_) {
        if (thread->state == State::ended) {
            continue;
        }
        left += (left.empty() ? "" : " and ") + thread->name;
        if (thread->state == State::asleep) {
            spurious.push_back({thread.get()});
        } else if ((thread->elder != nullptr && thread->elder->steps == 0) ||
                   (thread->state == State::locking && thread->mutex->held_)) {
            // not yet
        } else if (const auto sleepers = sleepers_of(*thread);
                   thread->state == State::notifying_one && !sleepers.empty()) {
            for (Thread* const sleeper : sleepers) {
                choices.push_back({thread.get(), sleeper});
            }
        } else {
            choices.push_back({thread.get()});
        }
    }
    if (choices.empty() && !left.empty()) {
        found_.fault = "asleep for ever: " + left;
    } else if (depth_ == steps_max) {
        found_.fault = "no end after " + std::to_string(depth_) + " steps";
        choices.clear();
    } else if (spurious_ < spurious_max_ && !choices.empty()) {
        choices.insert(choices.end(), spurious.begin(), spurious.end());
    }
    return choices;
}

/// The threads that a thread's notification could wake.
inline std::vector<Explorer::Thread*> Explorer::sleepers_of(const Thread& thread) const {
    std::vector<Thread*> sleepers;
    for (const auto& other : threads_) {
        if (other->state == State::asleep && other->condition == thread.condition) {
            sleepers.push_back(other.get());
        }
    }
    return sleepers;
}

/// Performs the explorer's part of a step. Returns whether its thread continues.
inline bool Explorer::perform(const Choice& choice) {
    Thread& thread = *choice.thread;
    ++thread.steps;
    switch (thread.state) {
        case State::locking:
            found_.steps.push_back(thread.name + " locks");
            thread.mutex->held_ = true;
            thread.locks.push_back(++locks_);
            break;
        case State::waiting:
            found_.steps.push_back(thread.name + " falls asleep");
            thread.mutex->held_ = false;
            thread.state = State::asleep;
            return false;
        case State::asleep:
            found_.steps.push_back(thread.name + " wakes up spuriously");
            ++spurious_;
            thread.state = State::locking;
            return false;
        case State::notifying_one:
            found_.steps.push_back(thread.name + " wakes " +
                                   (choice.woken == nullptr ? "no thread" : choice.woken->name));
            if (choice.woken != nullptr) {
                choice.woken->state = State::locking;
            }
            break;
        case State::notifying_all:
            found_.steps.push_back(thread.name + " wakes all");
            for (Thread* const sleeper : sleepers_of(thread)) {
                sleeper->state = State::locking;
            }
            break;
        default: found_.steps.push_back(thread.name + " goes on");
    }
    thread.state = State::running;
    return true;
}

/// Whether the order of two steps could matter.
inline bool Explorer::in_common(const Choice& a, const Choice& b) {
    const auto guarded = [](State state) {
        return state == State::pausing || state == State::locking || state == State::waiting;
    };
    const auto condition = [](const Thread& thread) {
        return thread.state == State::locking || thread.state == State::pausing ? nullptr
                                                                                : thread.condition;
    };
    const State x = a.thread->state;
    const State y = b.thread->state;
    return a.thread == b.thread || (guarded(x) && guarded(y)) ||
           (x == State::asleep && y == State::asleep) ||  // only one spurious wake-up may be left
           (condition(*a.thread) != nullptr && condition(*a.thread) == condition(*b.thread));
}

inline void ExplorerMutex::lock() { Explorer::reach(Explorer::State::locking, this, nullptr); }

inline void ExplorerCondition::wait(std::unique_lock<ExplorerMutex>& lock) {
    assert(Explorer::self_ != nullptr);  // no thread could wake it
    Explorer::reach(Explorer::State::waiting, lock.mutex(), this);
}

inline void ExplorerCondition::notify_one() {
    Explorer::reach(Explorer::State::notifying_one, nullptr, this);
}

inline void ExplorerCondition::notify_all() {
    Explorer::reach(Explorer::State::notifying_all, nullptr, this);
}

}  // namespace unfreeze
