#pragma once

#include <asio.hpp>
#include <chrono>
#include <memory>

#include "common/net/io.hpp"

namespace unfreeze {

/// What deadlines go by: the steady clock, which never jumps, whatever is done to the wall clock. A
/// test has one that it moves by hand.
class Clock {
public:
    using time_point = std::chrono::steady_clock::time_point;

    virtual ~Clock() = default;
    virtual time_point now() const { return std::chrono::steady_clock::now(); }

    /// When a timer, which knows no other clock, is to look whether this one has come to `moment`.
    virtual time_point look_at(time_point moment) const { return moment; }

    static const Clock& steady();
};

/// Cancels a socket's pending operation when a moment is reached. An operation that ends in that
/// same moment ends as if nothing had been, so whoever starts the next one asks expired() first; a
/// composed operation, such as asio::async_write, does not. One timer for the whole life of a
/// connection: moving the deadline back, which each request does, only writes down the new moment.
/// The timer looks at it when it fires and goes on waiting where it came too early, so a request
/// costs neither an allocation nor a system call for its deadlines.
class Deadline {
public:
    /// Refers to both until it is destroyed; the socket belongs to the same thread.
    Deadline(Socket& socket, const Clock& clock);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    /// The moment that counts from now on, an earlier or a later one.
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
