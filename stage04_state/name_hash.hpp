#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace unfreeze {

/// The key of a keyed hash. A client that does not know it can't choose names that collide.
struct HashKey {
    std::uint64_t first = 0;
    std::uint64_t second = 0;

    static HashKey random() {
        std::random_device device;  // returns 32 random bits
        const auto word = [&] { return std::uint64_t{device()} << 32 | device(); };
        return {word(), word()};
    }

    /// The key of this process, chosen at random by the first call.
    static HashKey of_process() {
        static const HashKey key = random();
        return key;
    }
};

/// SipHash, a keyed hash for short inputs, by Aumasson and Bernstein. The constants and the test
/// vectors are from their paper. It reads 8 bytes at a time in the machine's byte order; the
/// paper's is little-endian.
template <int rounds_each_word, int rounds_at_end>
std::uint64_t sip_hash(const HashKey& key, std::string_view input) {
    std::uint64_t a = key.first ^ 0x736f6d6570736575;
    std::uint64_t b = key.second ^ 0x646f72616e646f6d;
    std::uint64_t c = key.first ^ 0x6c7967656e657261;
    std::uint64_t d = key.second ^ 0x7465646279746573;
    const auto mix = [&](int rounds) {
        for (int i = 0; i < rounds; ++i) {
            a += b;
            b = std::rotl(b, 13) ^ a;
            a = std::rotl(a, 32);
            c += d;
            d = std::rotl(d, 16) ^ c;
            a += d;
            d = std::rotl(d, 21) ^ a;
            c += b;
            b = std::rotl(b, 17) ^ c;
            c = std::rotl(c, 32);
        }
    };
    const auto take = [&](std::uint64_t word) {
        d ^= word;
        mix(rounds_each_word);
        a ^= word;
    };
    std::uint64_t word = 0;
    std::uint64_t last = std::uint64_t{input.size()} << 56;
    for (; input.size() >= sizeof word; input.remove_prefix(sizeof word)) {
        std::memcpy(&word, input.data(), sizeof word);
        take(word);
    }
    for (std::size_t i = 0; i < input.size(); ++i) {
        last |= std::uint64_t{static_cast<unsigned char>(input[i])} << 8 * i;
    }
    take(last);
    c ^= 0xff;
    mix(rounds_at_end);
    return a ^ b ^ c ^ d;
}

/// Hashes names that clients choose, with SipHash-1-3. std::hash has no key, so a client could
/// choose thousands of names with the same hash, and each look-up would search all of them.
class NameHash {
public:
    using is_transparent = void;  // a look-up by std::string_view constructs no std::string

    NameHash() = default;  // with the key of the process
    explicit NameHash(const HashKey& key) : key_(key) {}

    /// Not noexcept, so that libstdc++'s maps store each name's hash. Otherwise they would compute
    /// it again for each name that they compare, and for all names when they grow.
    std::size_t operator()(std::string_view name) const { return sip_hash<1, 3>(key_, name); }

private:
    HashKey key_ = HashKey::of_process();
};

}  // namespace unfreeze
