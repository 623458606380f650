#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>

namespace unfreeze {

/// Gives large blocks pages of their own, which go back to the kernel as soon as the block is
/// freed. malloc keeps what is freed between two blocks in use, for its own later use: after
/// thousands of unfinished bodies their memory would stay with the server, because small blocks
/// that last longer lie between them.
struct BufferAllocator {
    using value_type = char;
    template <typename>
    struct rebind {
        using other = BufferAllocator;  // for a string of char, which asks
    };

    static constexpr std::size_t large_bytes = 32 * 1024;

    static char* allocate(std::size_t bytes) {
        if (bytes < large_bytes) {
            return std::allocator<char>{}.allocate(bytes);
        }
        void* const pages =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) {
            throw std::bad_alloc{};
        }
        return static_cast<char*>(pages);
    }

    static void deallocate(char* block, std::size_t bytes) {
        if (bytes < large_bytes) {
            std::allocator<char>{}.deallocate(block, bytes);
        } else {
            munmap(block, bytes);
        }
    }

    bool operator==(const BufferAllocator&) const = default;
};

/// The bytes that a client sends; the limits of a request bound how many.
using Buffer = std::basic_string<char, std::char_traits<char>, BufferAllocator>;

}  // namespace unfreeze
