#pragma once

#include <asio.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <stop_token>

#include "stage03_validation/session.hpp"

namespace unfreeze {

/// The sessions that are open, so that somebody can tell them to finish.
class Sessions {
public:
    /// A session's entry, as long as this lives: on the session's thread, and not as long as it.
    class Entry {
    public:
        Entry(Sessions& sessions, Session& session);
        ~Entry();
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;

    private:
        Sessions& sessions_;
        std::uint64_t id_;
    };

    /// Has every session finish, each on its own thread, and those that come from here on at once.
    void finish();
    bool finishing() const;

    /// Waits until all sessions have ended but those that only look. False where the deadline or
    /// the stop comes first.
    bool wait_until(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop);

private:
    void finish(std::uint64_t id);

    struct Open {
        Session& session;
        bool stays = false;  // it only looks, and may do so until the end
    };

    mutable std::mutex mutex_;            // guards all below
    std::map<std::uint64_t, Open> open_;  // by a number that no other session has had
    std::uint64_t last_id_ = 0;
    std::size_t staying_ = 0;
    bool finishing_ = false;
    std::condition_variable_any ended_;
};

}  // namespace unfreeze
