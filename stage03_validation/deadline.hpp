#pragma once

#include <asio.hpp>
#include <chrono>
#include <memory>

namespace unfreeze {

/// Cancels a socket's pending operation when a moment is reached. An operation that ends in that
/// same moment ends as if nothing had been, so whoever starts the next one asks expired() first; a
/// composed operation, such as asio::async_write, does not. One timer for the whole life of a
/// connection: moving the deadline back, which each request does, only writes down the new moment.
/// The timer looks at it when it fires and goes on waiting where it came too early, so a request
/// costs neither an allocation nor a system call for its deadlines.
class Deadline {
public:
    using clock = std::chrono::steady_clock;  // never jumps, whatever is done to the wall clock

    /// Refers to the socket until it is destroyed; both belong to the same thread.
    explicit Deadline(asio::ip::tcp::socket& socket);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    /// The moment that counts from now on, an earlier or a later one.
    void expire_at(clock::time_point deadline);

    /// Whether the deadline set last has been reached.
    bool expired() const;

private:
    /// Shared with the timer's handler, which may be queued already when the connection ends.
    struct State {
        asio::steady_timer timer;
        asio::ip::tcp::socket* socket;  // null once the connection has ended
        clock::time_point deadline;
        bool waiting = false;  // the timer's handler is yet to run
        bool expired = false;
    };

    static void wait(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_;
};

}  // namespace unfreeze
