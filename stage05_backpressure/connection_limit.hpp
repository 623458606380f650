#pragma once

#include <asio.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

#include "common/command_line.hpp"
#include "common/net/io.hpp"
#include "common/net/spawn.hpp"

namespace unfreeze {

struct LoadLimits {
    std::size_t queue_capacity = 100;      // events that wait for a worker
    std::size_t connections_max = 20'000;  // open connections; the next waits in the backlog
};

inline void add_options(CommandLine& command_line, LoadLimits& limits) {
    command_line.add("--queue-capacity", limits.queue_capacity, 1, 1'000'000, "events that wait");
    command_line.add("--connections-max", limits.connections_max, 1, 1'000'000, "open connections");
}

/// Bounds how many connections are open. The accepting coroutine acquires a permit first, and waits
/// if none is free. Clients that connect meanwhile wait in the kernel's backlog.
class ConnectionLimit {
    /// AsyncMutex again, with a capacity above one: sending acquires a permit.
    using Channel = asio::experimental::concurrent_channel<Executor, void(asio::error_code, bool)>;

public:
    /// One connection's permit, released when this is destroyed, on any thread. A connection's
    /// permit is the completion handler of its co_spawn, which Asio destroys when the coroutine
    /// ends.
    class Permit {
    public:
        explicit Permit(std::shared_ptr<Channel> permits) : permits_{std::move(permits)} {}
        Permit(Permit&&) = default;
        ~Permit() {
            if (permits_) {  // and has not been moved on
                permits_->try_receive([](const asio::error_code&, bool) {});
            }
        }

        void operator()(const std::exception_ptr& exception) const { stop_on_exception(exception); }

    private:
        std::shared_ptr<Channel> permits_;  // shared: a permit may outlive the limit
    };

    /// `io` outlives the limit and its permits.
    ConnectionLimit(asio::io_context& io, std::size_t connections_max)
        : permits_{std::make_shared<Channel>(io, connections_max)} {}

    [[nodiscard]] awaitable<Permit> async_acquire() {
        co_await permits_->async_send(asio::error_code{}, true, use_awaitable);
        co_return Permit{permits_};
    }

private:
    std::shared_ptr<Channel> permits_;
};

}  // namespace unfreeze
