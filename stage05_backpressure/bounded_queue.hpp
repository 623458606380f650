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

enum class [[nodiscard]] PushStatus{success, full, closed};

/// A queue of bounded capacity, for any number of pushing and popping threads. The names are those
/// of the C++ proposal P0260. T is default-constructible and movable. Mutex and Condition are
/// parameters so that a test can run this code in every order in which its threads may run.
template <typename T, typename Mutex = std::mutex, typename Condition = std::condition_variable>
class BoundedQueue {
public:
    /// Holds up to `capacity` items, at least one. Each thread that waits in pop(), up to
    /// `poppers`, adds one item to that, so that no item is refused while a popper is idle.
    /// Allocates the memory for all items now; what an item owns, such as a long string, is extra.
    explicit BoundedQueue(std::size_t capacity, std::size_t poppers = 0)
        : capacity_{capacity}, ring_(capacity + poppers) {
        assert(capacity > 0);
    }

    /// Never waits. If it does not succeed, the item is not moved from.
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

    /// Waits while the queue is full. If the queue is closed, the item is not moved from.
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

    /// Waits for an item, and returns the oldest one. Returns nullopt once the queue is closed and
    /// drained.
    [[nodiscard]] std::optional<T> pop() {
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

    /// Refuses all later pushes, and wakes all waiting threads. Items in the queue can still be
    /// popped. Closing twice has no further effect.
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

    // For the gauges of stage 9.
    std::size_t capacity() const { return capacity_; }

    /// How many waiting poppers get an item beyond the capacity.
    std::size_t poppers() const { return ring_.size() - capacity_; }

private:
    /// A waiting popper is about to take an item, which needs no capacity.
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

    mutable Mutex mutex_;  // guards all but the conditions; not held by a notifying thread
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
