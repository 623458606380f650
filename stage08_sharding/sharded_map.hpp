#pragma once

#include <bit>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "common/command_line.hpp"
#include "stage04_state/balances.hpp"

namespace unfreeze {

struct ShardOptions {
    std::size_t count = 64;  // a power of two
};

inline void add_options(CommandLine& command_line, ShardOptions& options) {
    command_line.add_power_of_two("--shards", options.count, 65'536, "shards, each with a lock");
}

/// A map from names to sums. It is divided into shards, each with its own lock, so that names in
/// different shards never wait for each other. Any thread may call any function. Sums are returned
/// as copies, because a reference would outlive the lock that guards it. Lock locks a shard's mutex
/// as std::unique_lock does, and may also measure.
template <typename Lock = std::unique_lock<std::timed_mutex>>
class ShardedMap {
public:
    /// The number of shards is a power of two and constant, because to move names between shards
    /// would need a lock around the whole map. Each shard reserves space for an average
    /// share of names_max, because a shard that grows moves all of its names under its lock.
    explicit ShardedMap(std::size_t shards, std::size_t names_max = 0) : shards_(shards) {
        assert(std::has_single_bit(shards));
        for (Shard& shard : shards_) {
            shard.sums.reserve(names_max / shards);
        }
    }

    /// Sets a name's sum to change(sum), with 0 for a new name. Calls `change` under the shard's
    /// lock, so it must not use the map. If it throws, nothing changes. Returns the lock, unlocked,
    /// for its measured times.
    template <typename Change>
    Lock update(std::string_view name, const Change& change) {
        Shard& shard = shards_[shard_of(name)];
        Lock lock{shard.mutex};
        const auto found = shard.sums.find(name);
        if (found == shard.sums.end()) {
            shard.sums.emplace(name, change(0));
        } else {
            found->second = change(found->second);
        }
        lock.unlock();
        return lock;
    }

    /// Adds to a name's sum, which saturates, and returns it.
    std::int64_t add(std::string_view name, std::int64_t amount) {
        std::int64_t sum = 0;
        update(name, [&](std::int64_t before) { return sum = saturating_add(before, amount); });
        return sum;
    }

    /// A name's sum; 0 for an unknown name, which is not added to the map.
    [[nodiscard]] std::int64_t get(std::string_view name) const {
        const Shard& shard = shards_[shard_of(name)];
        const std::lock_guard lock{shard.mutex};
        return balance_of(shard.sums, name);
    }

    /// The same, or nullopt if another thread holds the shard's lock for longer than `patience`.
    std::optional<std::int64_t> get(std::string_view name,
                                    std::chrono::milliseconds patience) const {
        const Shard& shard = shards_[shard_of(name)];
        const std::unique_lock lock{shard.mutex, patience};
        return lock ? std::optional{balance_of(shard.sums, name)} : std::nullopt;
    }

    /// Calls visit(name, sum) for each name, under the lock of its shard, so visit must not use the
    /// map. The name is valid during the call. Each shard is visited at one moment, but the shards
    /// one after the other: of two successive updates, visit may see the second and not the first.
    template <typename Visit>
    void for_each(const Visit& visit) const {
        for (const Shard& shard : shards_) {
            const std::lock_guard lock{shard.mutex};
            for (const auto& [name, sum] : shard.sums) {
                visit(std::string_view{name}, sum);
            }
        }
    }

    /// The number of names, each shard counted at its own moment.
    std::size_t size() const {
        std::size_t names = 0;
        for (const Shard& shard : shards_) {
            const std::lock_guard lock{shard.mutex};
            names += shard.sums.size();
        }
        return names;
    }

    /// A name's shard: the last bits of its hash.
    std::size_t shard_of(std::string_view name) const { return hash_(name) & (shards_.size() - 1); }

private:
    /// On its own cache line, because two locks on one line would slow each other down, although no
    /// thread takes both.
    struct alignas(64) Shard {
        mutable std::timed_mutex mutex;  // guards the sums
        Balances sums;
    };

    NameHash hash_;
    std::vector<Shard> shards_;
};

}  // namespace unfreeze
