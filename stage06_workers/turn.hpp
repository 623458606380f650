#pragma once

#include <asio.hpp>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <vector>

namespace unfreeze {

class TurnCondition;

/// What an I/O thread does over and over: it asks the kernel which sockets are ready, and runs the
/// handlers of all of them. To wake another thread takes a system call, and often more time than
/// all else that a request needs; so whom the handlers have something for is noted here, and woken
/// when they have run: then there is work for a while.
class Turn {
public:
    /// Of this thread, which is about to run `io`, for as long as this lives.
    explicit Turn(asio::io_context& io);

    /// Nobody who is owed is forgotten, however the thread ends.
    ~Turn();

    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// This thread's; null on one that runs no handlers.
    static Turn* current();

    /// Notifies one at the end of the turn, or when there are many. The condition lives till then.
    void notify_later(TurnCondition& condition);

    /// Notifies all that this thread owes: for whoever can't go on until the others do.
    static void settle();

private:
    void notify_now();

    /// More would wait for too long, and what they are to work on would pile up.
    static constexpr std::size_t owed_max = 256;

    asio::io_context& io_;
    std::vector<TurnCondition*> owed_;  // one as often as it is to notify
    bool end_posted_ = false;           // it is among the handlers to come
};

/// A condition variable whose notify_one() leaves it to the end of the turn, where there is one.
class TurnCondition {
public:
    template <typename Lock>
    void wait(Lock& lock) {
        Turn::settle();  // whoever is owed may be the one that we are about to wait for
        ++waiting_;
        condition_.wait(lock);
        --waiting_;
    }

    void notify_one() {
        if (Turn* const turn = Turn::current()) {
            turn->notify_later(*this);
        } else {
            condition_.notify_one();
        }
    }

    void notify_all() { condition_.notify_all(); }

    /// No more than wait by now: one that is woken, has done it all and waits again has no part in
    /// what the others are owed.
    void notify_now(std::size_t times) {
        if (times >= waiting_) {
            condition_.notify_all();  // one system call, however many they are
            return;
        }
        for (; times > 0; --times) {
            condition_.notify_one();
        }
    }

private:
    std::condition_variable condition_;
    std::atomic<std::size_t> waiting_ = 0;  // counted under the lock: who comes later sees it all
};

}  // namespace unfreeze
