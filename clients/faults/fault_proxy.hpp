#pragma once

#include <asio.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "clients/probe/target.hpp"
#include "common/net/listener.hpp"

namespace unfreeze {

/// A fault that the proxy injects. TCP keeps bytes in order, but it may divide them into segments
/// in any way. So all faults but the last three must not change a server's responses.
enum class Fault {
    pass,        // none: bytes are forwarded unchanged
    split,       // each byte of a request is written separately
    join,        // request bytes that arrive within join_ms are written at once
    delay,       // in both directions, each piece is written delay_ms after it arrived
    throttle,    // in both directions, at most bytes_per_second
    reset,       // after after_bytes of requests, both connections are reset
    half_close,  // after after_bytes of requests, the server's side is half-closed
    corrupt,     // one byte in every_bytes of requests is changed
};

struct FaultProxyOptions {
    ListenOptions listen{.port = 8090};
    Target server = {};
    Fault fault = Fault::pass;
    std::chrono::milliseconds join_ms{5};
    std::chrono::milliseconds delay_ms{100};
    std::size_t bytes_per_second = 1'000;
    std::size_t after_bytes = 100;  // of each connection, counted from its start
    std::size_t every_bytes = 100;
    std::size_t seed = 1;  // connection n uses seed + n, so connections differ
};

/// Forwards bytes in both directions between clients and a server, and injects a fault. An end of
/// stream and a reset are forwarded as such, after the bytes that preceded them. An error ends one
/// client's two connections and no others. If one side does not read, the proxy stops reading from
/// the other side, so a client's connections buffer at most 512 KiB here. There are no timeouts.
class FaultProxy {
public:
    /// Listens and prints "listening on HOST:PORT", as servers do. Accepts clients while `io` runs,
    /// in one thread, and must outlive that run.
    FaultProxy(asio::io_context& io, const FaultProxyOptions& options);

    std::uint16_t port() const { return listener_.port(); }

private:
    awaitable<void> accept_all();

    const FaultProxyOptions options_;
    Listener listener_;
    Timer retry_timer_;                // between two attempts to get a descriptor
    bool server_unreachable_ = false;  // the last connect failed, and that was logged
};

}  // namespace unfreeze
