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

/// The open sessions, so that a shutdown can finish them.
class Sessions {
public:
    /// Registers a session. Destroy it on the session's thread, before the session.
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

    /// Finishes every session, each on its own thread, and sessions that start later at once.
    void drain();
    bool draining() const;

    /// Waits until all sessions have ended, except those whose clients only read metrics. Returns
    /// false if the deadline or the stop comes first.
    bool wait_until(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop);

private:
    void finish(std::uint64_t id);

    struct Open {
        Session& session;
        bool stays = false;  // its client only reads, and may read until the server ends
    };

    mutable std::mutex mutex_;            // guards all below
    std::map<std::uint64_t, Open> open_;  // by a number that no other session has had
    std::uint64_t last_id_ = 0;
    std::size_t staying_ = 0;
    bool draining_ = false;
    std::condition_variable_any ended_;
};

}  // namespace unfreeze
