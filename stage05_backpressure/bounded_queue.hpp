#pragma once

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace unfreeze {

enum class PushStatus { success, full, closed };

/// A queue between threads, any number on either side, that holds so many items and no more. The
/// names are those of the C++ proposal P0260. T can be made from nothing and be moved. Mutex and
/// Condition are parameters so that a test can put this very code through every order in which its
/// threads may run.
template <typename T, typename Mutex = std::mutex, typename Condition = std::condition_variable>
class BoundedQueue {
public:
    /// Holds `capacity` items (at least one) that wait for a popper. Up to `poppers` threads that
    /// wait in pop() at the moment get one more each, so nothing is refused while one of them has
    /// nothing to do. Takes all the memory that it will ever need for these items; what an item
    /// owns, such as a long string, comes on top.
    explicit BoundedQueue(std::size_t capacity, std::size_t poppers = 0)
        : capacity_{capacity}, ring_(capacity + poppers) {
        assert(capacity > 0);
    }

    /// Never waits. Where it does not succeed, the item stays the caller's.
    PushStatus try_push(T&& item) {
        {
            const std::lock_guard lock{mutex_};
            if (closed_) {
                return PushStatus::closed;
            }
            if (full()) {
                return PushStatus::full;
            }
            put(std::move(item));
        }
        not_empty_.notify_one();
        return PushStatus::success;
    }

    /// Waits while the queue is full. Where it has been closed, the item stays the caller's.
    PushStatus push(T&& item) {
        {
            std::unique_lock lock{mutex_};
            while (full() && !closed_) {
                not_full_.wait(lock);
            }
            if (closed_) {
                return PushStatus::closed;
            }
            put(std::move(item));
        }
        not_empty_.notify_one();
        return PushStatus::success;
    }

    /// The item that came first; waits while there is none. Nothing once the queue has been closed
    /// and everything in it has been taken.
    std::optional<T> pop() {
        std::optional<T> item;
        {
            std::unique_lock lock{mutex_};
            ++waiting_;
            while (size_ == 0 && !closed_) {
                not_empty_.wait(lock);
            }
            --waiting_;
            if (size_ == 0) {
                return item;
            }
            item = take();
        }
        not_full_.notify_one();
        return item;
    }

    /// From here on nothing gets in, and whoever waits is told; what is in may still be taken.
    /// To close twice is to close once.
    void close() {
        {
            const std::lock_guard lock{mutex_};
            closed_ = true;
        }
        not_empty_.notify_all();
        not_full_.notify_all();
    }

    std::size_t size() const {
        const std::lock_guard lock{mutex_};
        return size_;
    }

    std::size_t capacity() const { return capacity_; }

    /// How many waiting poppers get an item beyond the capacity.
    std::size_t poppers() const { return ring_.size() - capacity_; }

private:
    /// An item that a waiting popper is about to take needs no room.
    bool full() const { return size_ >= std::min(capacity_ + waiting_, ring_.size()); }

    void put(T&& item) {
        ring_[(first_ + size_) % ring_.size()] = std::move(item);
        ++size_;
    }

    T take() {
        T item = std::move(ring_[first_]);
        first_ = (first_ + 1) % ring_.size();
        --size_;
        return item;
    }

    mutable Mutex mutex_;  // guards all but the conditions, and is never held while notifying
    Condition not_empty_;  // poppers wait here,
    Condition not_full_;   // and pushers here: one notification never wakes the wrong kind
    const std::size_t capacity_;
    std::vector<T> ring_;
    std::size_t first_ = 0;    // index of the oldest item
    std::size_t size_ = 0;     // items in the ring, from first_ on
    std::size_t waiting_ = 0;  // poppers that have yet to take their item
    bool closed_ = false;
};

}  // namespace unfreeze
