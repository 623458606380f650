#include "stage10_shutdown/sessions.hpp"

#include <cassert>

namespace unfreeze {

Sessions::Entry::Entry(Sessions& sessions, Session& session) : sessions_{sessions} {
    assert(session.get_executor().running_in_this_thread());
    const std::lock_guard lock{sessions_.mutex_};
    id_ = ++sessions_.last_id_;
    sessions_.open_.emplace(id_, Open{session});
    if (sessions_.draining_) {
        session.finish();
    }
}

Sessions::Entry::~Entry() {
    const std::lock_guard lock{sessions_.mutex_};
    sessions_.staying_ -= sessions_.open_.at(id_).stays ? 1 : 0;
    sessions_.open_.erase(id_);
    sessions_.ended_.notify_all();
}

void Sessions::drain() {
    const std::lock_guard lock{mutex_};
    draining_ = true;
    for (const auto& [id, open] : open_) {
        asio::post(open.session.get_executor(), [this, id] { finish(id); });
    }
}

/// Runs on the session's thread, so the session cannot end meanwhile. It may have ended before.
void Sessions::finish(std::uint64_t id) {
    const std::lock_guard lock{mutex_};
    const auto found = open_.find(id);
    if (found != open_.end() && found->second.session.finish()) {
        found->second.stays = true;
        ++staying_;
        ended_.notify_all();
    }
}

bool Sessions::draining() const {
    const std::lock_guard lock{mutex_};
    return draining_;
}

bool Sessions::wait_until(std::chrono::steady_clock::time_point deadline,
                          const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    const auto ended = [this] { return open_.size() == staying_; };
    ended_.wait_until(lock, stop, deadline, ended);
    return ended();  // libstdc++ may return false although this has just become true
}

}  // namespace unfreeze
