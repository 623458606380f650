#pragma once

#include <asio.hpp>
#include <chrono>
#include <memory>

#include "common/net/io.hpp"

namespace unfreeze {

/// The clock of all deadlines: the monotonic one, which never jumps. A test has one that it moves
/// itself.
class Clock {
public:
    using time_point = std::chrono::steady_clock::time_point;

    virtual ~Clock() = default;
    virtual time_point now() const { return std::chrono::steady_clock::now(); }

    /// When a timer of the monotonic clock should check whether this clock has reached `moment`.
    virtual time_point check_time(time_point moment) const { return moment; }

    static const Clock& steady();
};

/// Cancels a socket's pending operation at a deadline. An operation that completes at that moment
/// completes as usual, so check expired() before each next operation. Composed operations, such as
/// asio::async_write, do not check it. A connection has one timer for its whole life: a later
/// deadline, which each request sets, is only stored. If the timer fires too early, it waits again,
/// so a request's deadlines cost neither an allocation nor a system call.
class Deadline {
public:
    /// Refers to both until it is destroyed; the socket belongs to the same thread.
    Deadline(Socket& socket, const Clock& clock);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    /// Replaces the deadline by an earlier or a later one.
    void expire_at(Clock::time_point deadline);

    /// Whether the deadline set last has been reached.
    bool expired() const;

private:
    /// Shared with the timer's handler, which may be queued already when the connection ends.
    struct State {
        Timer timer;
        Socket* socket;  // null once the connection has ended
        const Clock& clock;
        Clock::time_point deadline = Clock::time_point::max();
        Clock::time_point awaited = {};  // the deadline that the timer waits for
        bool waiting = false;            // the timer's handler is yet to run
        bool expired = false;
    };

    struct Handler;

    static void wait(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_;
};

}  // namespace unfreeze
