#pragma once

#include <asio.hpp>
#include <cstddef>
#include <deque>

#include "common/net/io.hpp"

namespace unfreeze {

/// Threads that serve connections, an io_context each. A connection is given to one of them and
/// stays there: its session never meets another thread and needs no lock.
class IoThreads {
public:
    explicit IoThreads(std::size_t threads);

    /// The one that accepts, which is the thread that calls run().
    asio::io_context& first() { return contexts_.front(); }
    operator asio::io_context&() { return first(); }

    /// Whose turn it is to take a connection. To be asked from one thread.
    asio::io_context& next() { return contexts_[next_++ % contexts_.size()]; }

    /// Serves until stop(). What a handler throws ends all threads, and is thrown here. Either way
    /// no coroutine is left when it returns.
    void run();

    /// Ends run(), from any thread.
    void stop();

private:
    std::deque<IoContext> contexts_;  // a deque: a context can't move
    std::size_t next_ = 0;            // counts the connections handed out
};

}  // namespace unfreeze
