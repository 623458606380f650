#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace unfreeze {

/// The secret of a keyed hash: without it, nobody can choose names that collide.
struct HashKey {
    std::uint64_t first = 0;
    std::uint64_t second = 0;

    static HashKey random() {
        std::random_device device;  // 32 random bits a call
        const auto word = [&] { return std::uint64_t{device()} << 32 | device(); };
        return {word(), word()};
    }

    /// The key of this process, drawn at the first call.
    static HashKey of_process() {
        static const HashKey key = random();
        return key;
    }
};

/// SipHash by Aumasson and Bernstein, a keyed hash for short inputs: its paper has the constants
/// and the test vectors. Reads 8 bytes at a time in the order of the machine, and the paper's order
/// is little-endian.
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

/// Hashes names that clients choose, with SipHash-1-3. std::hash has no key, so a client can choose
/// thousands of names with one hash, and a map then searches all of them at each look-up.
class NameHash {
public:
    using is_transparent = void;  // a look-up by std::string_view makes no std::string

    NameHash() = default;  // with the key of the process
    explicit NameHash(const HashKey& key) : key_(key) {}

    /// Not noexcept, because libstdc++'s maps then keep each name's hash. Otherwise they compute
    /// it again for each name that they pass, and for all names when they grow.
    std::size_t operator()(std::string_view name) const { return sip_hash<1, 3>(key_, name); }

private:
    HashKey key_ = HashKey::of_process();
};

}  // namespace unfreeze
