#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "stage04_state/balances.hpp"
#include "stage08_sharding/flat_sums.hpp"

namespace unfreeze {

/// A map from names to sums in many parts, its shards, each with a lock of its own: whose names lie
/// in different shards never meet. Any thread may call anything. A sum comes out as a copy, since a
/// reference would outlive the lock that guards it.
/// Lock locks a shard's mutex as std::unique_lock does, and may measure while it is about it.
template <typename Lock = std::unique_lock<std::mutex>>
class ShardedMap {
public:
    /// The number of shards is a power of two and stays: names that moved while others look for
    /// them would need a lock around all of it.
    explicit ShardedMap(std::size_t shards) : shards_(shards) {
        assert(std::has_single_bit(shards));
    }

    /// Sets a name's sum to change(sum), called under the shard's lock, with 0 for a new name.
    /// Where it throws, nothing has changed. It must not use the map: the lock may be the one it
    /// needs. Gives the lock, unlocked, to whoever wants to know how that went.
    template <typename Change>
    Lock update(std::string_view name, const Change& change) {
        const std::size_t hash = FlatSums::hash_of(name);
        Shard& shard = shards_[shard_of(hash)];
        Lock lock{shard.mutex};
        shard.sums.update(name, hash, change);
        lock.unlock();
        return lock;
    }

    /// Adds to a name's sum, which saturates, and gives it.
    std::int64_t add(std::string_view name, std::int64_t amount) {
        std::int64_t sum = 0;
        update(name, [&](std::int64_t before) { return sum = saturating_add(before, amount); });
        return sum;
    }

    /// 0 for a name never heard of, which is not remembered for being asked about.
    std::int64_t get(std::string_view name) const {
        const std::size_t hash = FlatSums::hash_of(name);
        const Shard& shard = shards_[shard_of(hash)];
        const std::lock_guard lock{shard.mutex};
        return shard.sums.get(name, hash);
    }

    /// Calls visit(name, sum) for each name, under the lock of its shard, one shard after the
    /// other; so visit must not use the map. The name is a view, good for the time of the call.
    /// What visit sees of one shard is of one moment. The whole is not: of two updates that were
    /// made one after the other meanwhile, it may see the second and not the first.
    template <typename Visit>
    void for_each(const Visit& visit) const {
        for (const Shard& shard : shards_) {
            const std::lock_guard lock{shard.mutex};
            shard.sums.for_each(visit);
        }
    }

    /// Names in all, each shard counted at a moment of its own.
    std::size_t size() const {
        std::size_t names = 0;
        for (const Shard& shard : shards_) {
            const std::lock_guard lock{shard.mutex};
            names += shard.sums.size();
        }
        return names;
    }

    /// Which shard a name with this hash lies in: its last bits say.
    std::size_t shard_of(std::size_t hash) const { return hash & (shards_.size() - 1); }

private:
    /// On a cache line of its own: two locks on one would slow each other down, unshared as they
    /// are.
    struct alignas(64) Shard {
        mutable std::mutex mutex;  // guards the sums
        FlatSums sums;
    };

    std::vector<Shard> shards_;
};

}  // namespace unfreeze
