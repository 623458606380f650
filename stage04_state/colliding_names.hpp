#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace unfreeze {

/// For tests: different names of 16 bytes that have one hash, if the hash is libstdc++'s std::hash
/// on a little-endian machine of 64 bits. That is MurmurHash64A with a constant seed. Each of its
/// steps can be undone, so for any first 8 bytes there are 8 more that lead to the hash 0. Only one
/// pair in 3,400 becomes a name: JSON carries it as it is.
inline std::vector<std::string> colliding_names(std::size_t count) {
    constexpr std::uint64_t factor = 0xc6a4a7935bd1e995;
    constexpr std::uint64_t inverse = 0x5f7a0ea7e59b19bd;
    static_assert(factor * inverse == 1);
    constexpr std::uint64_t start = 0xc70f6907 ^ (16 * factor);
    const auto shift_mix = [](std::uint64_t word) { return word ^ word >> 47; };  // undoes itself
    const auto printable = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
    std::vector<std::string> names;
    std::string name(16, '\0');
    for (std::uint64_t i = 0; names.size() < count; ++i) {
        for (std::size_t digit = 0; digit < 8; ++digit) {
            name[digit] = static_cast<char>('0' + (i >> 4 * digit) % 16);
        }
        std::uint64_t first = 0;
        std::memcpy(&first, name.data(), sizeof first);
        const std::uint64_t hash = (start ^ shift_mix(first * factor) * factor) * factor;
        const std::uint64_t second = shift_mix(hash * inverse) * inverse;
        std::memcpy(name.data() + sizeof first, &second, sizeof second);
        if (std::all_of(name.begin() + sizeof first, name.end(), printable)) {
            names.push_back(name);
        }
    }
    return names;
}

}  // namespace unfreeze
