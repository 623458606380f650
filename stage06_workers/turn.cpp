#include "stage06_workers/turn.hpp"

#include <cassert>

namespace unfreeze {
namespace {

thread_local Turn* turn_of_this_thread = nullptr;

}  // namespace

Turn::Turn(asio::io_context& io) : io_{io} {
    assert(current() == nullptr);
    turn_of_this_thread = this;
}

Turn::~Turn() {
    notify_now();
    turn_of_this_thread = nullptr;
}

Turn* Turn::current() { return turn_of_this_thread; }

/// What is posted comes behind the handlers that are ready.
void Turn::notify_later(TurnCondition& condition) {
    owed_.push_back(&condition);
    if (owed_.size() == owed_max) {
        notify_now();
    } else if (!end_posted_) {
        end_posted_ = true;
        asio::post(io_, [] {
            if (Turn* const turn = current()) {
                turn->end_posted_ = false;
                turn->notify_now();
            }
        });
    }
}

void Turn::settle() {
    if (Turn* const turn = current()) {
        turn->notify_now();
    }
}

void Turn::notify_now() {
    while (!owed_.empty()) {
        TurnCondition* const condition = owed_.back();
        condition->notify_now(std::erase(owed_, condition));
    }
}

}  // namespace unfreeze
