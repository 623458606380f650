#pragma once

#include <asio.hpp>
#include <cassert>
#include <cstddef>
#include <deque>
#include <thread>

#include "common/net/io.hpp"

namespace unfreeze {

/// Threads that serve connections, each with its own io_context. A connection stays on the thread
/// that it was given to, so its session needs no lock.
class IoThreads {
public:
    explicit IoThreads(std::size_t threads);

    /// The first context, which accepts connections on the thread that calls run(). Implicit, so
    /// that a listener or a limit is constructed as it is from a single io_context.
    operator asio::io_context&() { return contexts_.front(); }

    /// The context for the next connection, round robin. Call it from one thread.
    asio::io_context& next() {
        caller_ = next_ == 0 ? std::this_thread::get_id() : caller_;
        assert(caller_ == std::this_thread::get_id());
        return contexts_[next_++ % contexts_.size()];
    }

    /// Serves until stop(). If a handler throws or a thread can't be started, ends all threads and
    /// rethrows the exception. When it returns or throws, all coroutines have been destroyed.
    void run();

    /// For stage 10: ends run(), from any thread.
    void stop();

private:
    std::deque<IoContext> contexts_;  // a deque: a context can't move
    std::size_t next_ = 0;            // number of calls of next()
    std::thread::id caller_;          // the thread that calls next()
};

}  // namespace unfreeze
