#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace unfreeze {

/// Sums by name in one array, for one thread at a time. A name's place is where its hash says, or
/// the next one that is free (linear probing): three look-ups in four end at the first. Half of all
/// places stay free, and no name ever goes.
class FlatSums {
public:
    /// A look-up makes no std::string of a name.
    static std::size_t hash_of(std::string_view name) {
        return std::hash<std::string_view>{}(name);
    }

    /// Which has to be hash_of(name): whoever has computed it need not do so again.
    std::int64_t get(std::string_view name, std::size_t hash) const {
        return entries_[place_of(name, hash)].sum;  // 0 where the place is free
    }

    /// Sets a name's sum to change(sum), 0 for a new name. Where change throws, nothing has
    /// changed. It must not use the sums.
    template <typename Change>
    void update(std::string_view name, std::size_t hash, const Change& change) {
        if (2 * (size_ + 1) > entries_.size()) {
            grow();
        }
        Entry& entry = entries_[place_of(name, hash)];
        const std::int64_t sum = change(entry.sum);
        if (!entry.taken) {
            entry.name = name;
            entry.taken = true;
            ++size_;
        }
        entry.sum = sum;
    }

    std::size_t size() const { return size_; }

    /// Calls visit(name, sum) for each name, a view that is good until the next update().
    template <typename Visit>
    void for_each(const Visit& visit) const {
        for (const Entry& entry : entries_) {
            if (entry.taken) {
                visit(std::string_view{entry.name}, entry.sum);
            }
        }
    }

private:
    struct Entry {
        std::string name;
        std::int64_t sum = 0;
        bool taken = false;  // for good: the name may be empty
    };

    /// Where a name is, or where it would go. The last 16 bits of the hash are left to whoever
    /// chooses among several of these.
    std::size_t place_of(std::string_view name, std::size_t hash) const {
        const std::size_t mask = entries_.size() - 1;
        std::size_t place = (hash >> 16) & mask;
        while (entries_[place].taken && entries_[place].name != name) {
            place = (place + 1) & mask;
        }
        return place;
    }

    void grow() {
        std::vector<Entry> old(2 * entries_.size());
        old.swap(entries_);
        for (Entry& entry : old) {
            if (entry.taken) {
                entries_[place_of(entry.name, hash_of(entry.name))] = std::move(entry);
            }
        }
    }

    std::vector<Entry> entries_ = std::vector<Entry>(1);  // always a power of two
    std::size_t size_ = 0;
};

}  // namespace unfreeze
