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

/// One schedule's worth of a program: threads, and the question whether all went well, which is
/// asked when they have ended; an empty answer is a yes.
struct Program {
    struct Thread {
        std::string name;
        std::function<void()> body;
        /// It does as the thread before it does, names aside. The other of the two is then always
        /// the first to take a step: the rest are the same schedules with the names exchanged.
        bool twin = false;
    };
    std::vector<Thread> threads;
    std::function<std::string()> fault;
};

struct Exploration {
    std::size_t schedules = 0;       // that ran to their end
    std::string fault;               // of the last of them; empty where there was none
    std::vector<std::string> steps;  // that led to the fault
};

class ExplorerCondition;

/// Takes the place of std::mutex. On threads that are not a program's, it and the condition do
/// nothing: there a program is made and asked for faults, with nobody beside it.
class ExplorerMutex {
public:
    void lock();
    void unlock() { held_ = false; }

private:
    friend class Explorer;
    bool held_ = false;
};

/// Takes the place of std::condition_variable. It wakes no thread but a chosen one, in any order.
class ExplorerCondition {
public:
    void wait(std::unique_lock<ExplorerMutex>& lock);
    void notify_one();
    void notify_all();
};

/// Runs a program in every order in which its threads could run, and stops at the first fault. The
/// threads are real, but hand a baton around: one runs, up to its next point, and there the search
/// chooses whose step is next. Each schedule starts the program afresh, follows the one before up
/// to the last choice that has an alternative, takes that, and goes on from there (depth first).
///
/// The points are: before a mutex is locked, before a wait (the mutex is still held, so that what
/// does without it gets between a check and the wait), before a notification, and pause(). What
/// lies between two points must touch only what is the thread's own, or what the mutexes guard;
/// behind pause(), anything.
///
/// Two neighbouring steps that touch nothing in common give the same in either order, so one order
/// is enough. "Sleep sets" (Godefroid 1996) see to that: an alternative that has been tried is left
/// out of what follows the next one, until a step comes that has something in common with it. They
/// miss no state. A notification has nothing in common but with what is done to its condition; any
/// other step is taken to touch all that the mutexes guard.
class Explorer {
public:
    /// `make` makes the same program each time. A schedule holds at most so many wake-ups that
    /// nobody asked for, which the standard allows: nobody may be hurt by them, or depend on them.
    explicit Explorer(std::function<Program()> make, std::size_t spurious_max = 0)
        : make_(std::move(make)), spurious_max_(spurious_max) {}
    ~Explorer();
    Explorer(const Explorer&) = delete;
    Explorer& operator=(const Explorer&) = delete;

    Exploration explore();

    /// A point for what the calling thread does next without a mutex.
    static void pause() { reach(State::pausing, nullptr, nullptr); }

    /// How often mutexes have been locked, by all threads; and, counted from 1 among those, the
    /// calling thread's last lock and its first one after the first `before`. 0 if there is none.
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

    struct Abandoned {};  // unwinds a thread whose schedule is over

    static constexpr std::size_t steps_max = 1000;  // of one schedule

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
    std::binary_semaphore home_{0};  // the baton is back with search()
    std::vector<Fork> path_;
    Exploration found_;

    // Of the schedule that runs:
    std::size_t depth_ = 0;         // forks passed
    std::vector<Choice> sleeping_;  // need not be tried
    std::size_t spurious_ = 0;      // wake-ups so far
    std::size_t locks_ = 0;
    bool over_ = false;   // whoever gets the baton unwinds
    bool known_ = false;  // over early: whatever could follow has been tried
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
        // One processor for this thread and those that it starts: a baton is handed over faster.
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

/// A thread of the program's, and of the next schedule's.
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

/// The calling thread says what it does next, and does it once it has been chosen.
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

/// Whose turn it is, its step having been taken as far as it is the explorer's; null where the
/// schedule is over.
inline Explorer::Thread* Explorer::next() {
    if (over_) {  // they unwind one after the other
        for (const auto& thread : threads_) {
            if (thread->state != State::ended) {
                return thread.get();
            }
        }
        return nullptr;
    }
    while (found_.fault.empty()) {
        // Up to its first point a thread touches but its own: no order need be chosen.
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

/// The steps that could be next; none where the schedule ends here, well or not.
inline std::vector<Explorer::Choice> Explorer::options() {
    std::vector<Choice> choices;
    std::vector<Choice> spurious;
    std::string left;  // those that have not ended
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

/// Who could be woken by a thread's notification.
inline std::vector<Explorer::Thread*> Explorer::sleepers_of(const Thread& thread) const {
    std::vector<Thread*> sleepers;
    for (const auto& other : threads_) {
        if (other->state == State::asleep && other->condition == thread.condition) {
            sleepers.push_back(other.get());
        }
    }
    return sleepers;
}

/// Takes a step, as far as it is the explorer's. Whether its thread is to go on.
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
            found_.steps.push_back(thread.name + " wakes up unasked");
            ++spurious_;
            thread.state = State::locking;
            return false;
        case State::notifying_one:
            found_.steps.push_back(thread.name + " wakes " +
                                   (choice.woken == nullptr ? "nobody" : choice.woken->name));
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

/// Whether it could matter which of two steps comes first.
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
           (x == State::asleep && y == State::asleep) ||  // there may be one wake-up left
           (condition(*a.thread) != nullptr && condition(*a.thread) == condition(*b.thread));
}

inline void ExplorerMutex::lock() { Explorer::reach(Explorer::State::locking, this, nullptr); }

inline void ExplorerCondition::wait(std::unique_lock<ExplorerMutex>& lock) {
    assert(Explorer::self_ != nullptr);  // nobody could wake it
    Explorer::reach(Explorer::State::waiting, lock.mutex(), this);
}

inline void ExplorerCondition::notify_one() {
    Explorer::reach(Explorer::State::notifying_one, nullptr, this);
}

inline void ExplorerCondition::notify_all() {
    Explorer::reach(Explorer::State::notifying_all, nullptr, this);
}

}  // namespace unfreeze
