#include "stage06_workers/wakeup_batch.hpp"

#include <cassert>
#include <thread>

#include "stage05_backpressure/responses.hpp"

namespace unfreeze {
namespace {

thread_local WakeupBatch* batch_of_this_thread = nullptr;

}  // namespace

WakeupBatch::WakeupBatch(asio::io_context& io) : io_{io} {
    assert(current() == nullptr);
    batch_of_this_thread = this;
    before_query_wait = flush;
}

WakeupBatch::~WakeupBatch() {
    send();
    batch_of_this_thread = nullptr;
}

WakeupBatch* WakeupBatch::current() { return batch_of_this_thread; }

/// A posted handler runs after all handlers that are ready now.
void WakeupBatch::notify_later(BatchedCondition& condition) {
    pending_.push_back(&condition);
    if (pending_.size() == pending_max) {
        send();
        std::this_thread::yield();  // otherwise the queue may fill before a worker gets this core
    } else if (!flush_posted_) {
        flush_posted_ = true;
        asio::post(io_, [] {
            if (WakeupBatch* const batch = current()) {
                batch->flush_posted_ = false;
                batch->send();
            }
        });
    }
}

void WakeupBatch::flush() {
    if (WakeupBatch* const batch = current()) {
        batch->send();
    }
}

void WakeupBatch::send() {
    while (!pending_.empty()) {
        BatchedCondition* const condition = pending_.back();
        condition->notify_now(std::erase(pending_, condition));
    }
}

}  // namespace unfreeze
