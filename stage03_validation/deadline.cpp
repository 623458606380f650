#include "stage03_validation/deadline.hpp"

#include <cstddef>
#include <memory_resource>

namespace unfreeze {

const Clock& Clock::steady() {
    static const Clock clock;
    return clock;
}

/// Checks the clock when the timer fires. Asio would reuse a freed block of memory for this
/// handler, even one that is much too large, and the handler keeps its block while the connection
/// is open. This allocator always takes a new block.
struct Deadline::Handler {
    using allocator_type = std::pmr::polymorphic_allocator<std::byte>;
    allocator_type get_allocator() const { return {}; }

    void operator()(const asio::error_code&) const {
        state->waiting = false;
        if (state->socket == nullptr) {
            return;
        }
        if (state->clock.now() < state->deadline) {
            wait(state);
            return;
        }
        state->expired = true;
        asio::error_code closed_already;
        state->socket->cancel(closed_already);
    }

    std::shared_ptr<State> state;
};

Deadline::Deadline(Socket& socket, const Clock& clock)
    : state_{std::make_shared<State>(State{Timer{socket.get_executor()}, &socket, clock})} {}

Deadline::~Deadline() {
    state_->socket = nullptr;
    state_->timer.cancel();
}

void Deadline::expire_at(Clock::time_point deadline) {
    state_->deadline = deadline;
    state_->expired = false;
    if (!state_->waiting) {
        wait(state_);
    } else if (deadline < state_->awaited) {
        state_->timer.cancel();  // wakes the handler, which waits anew, for less long
    }
}

bool Deadline::expired() const { return state_->expired; }

void Deadline::wait(const std::shared_ptr<State>& state) {
    state->waiting = true;
    state->awaited = state->deadline;
    state->timer.expires_at(state->clock.check_time(state->deadline));
    state->timer.async_wait(Handler{state});
}

}  // namespace unfreeze
