#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>

namespace unfreeze {

/// Allocates large blocks with mmap, so that their memory returns to the kernel as soon as they are
/// freed. malloc keeps a freed block that lies between blocks in use: after thousands of unfinished
/// bodies, the server would keep their memory, because longer-lived small blocks lie between them.
struct BufferAllocator {
    using value_type = char;
    template <typename>
    struct rebind {
        using other = BufferAllocator;  // std::basic_string needs it
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

/// Bytes that a client sends, bounded by a request's limits.
using Buffer = std::basic_string<char, std::char_traits<char>, BufferAllocator>;

}  // namespace unfreeze
