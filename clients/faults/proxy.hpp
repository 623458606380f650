#pragma once

#include <asio.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "clients/probe/target.hpp"
#include "common/net/listener.hpp"

namespace unfreeze {

/// What a gate does to the bytes that pass it. TCP promises the order of the bytes and nothing of
/// their pieces: to all but the last three, a server has to be as good as without a gate.
enum class Verb {
    pass,          // nothing
    byte_by_byte,  // requests leave in writes of one byte
    joined,        // what comes within join_ms of a request leaves in one write
    delayed,       // each piece leaves delay_ms after it came, either way
    throttled,     // no more than bytes_per_second, either way
    reset,         // after after_bytes of requests, both connections end in a reset
    half_closed,   // the server gets after_bytes of requests and an end; answers still pass
    corrupted,     // one byte in every every_bytes of requests is changed
};

struct GateOptions {
    ListenOptions listen{.port = 8090};
    Target server = {};
    Verb verb = Verb::pass;
    std::chrono::milliseconds join_ms{5};
    std::chrono::milliseconds delay_ms{100};
    std::size_t bytes_per_second = 1'000;
    std::size_t after_bytes = 100;  // of each connection, counted from its beginning
    std::size_t every_bytes = 100;
    std::size_t seed = 1;  // of the n-th connection: seed + n, so that they differ
};

/// Stands between clients and a server, and passes bytes both ways, with one of the verbs. Whatever
/// a peer does ends that peer's connection and the one behind it: the end of one side's bytes
/// becomes an end for the other, a reset a reset, and in its turn: what came before it arrives
/// before it. Where one side takes nothing the other is not read from, so a connection never holds
/// more than half a megabyte here. Nobody is hurried: there are no deadlines.
class Gate {
public:
    /// Listens and prints "listening on HOST:PORT", as servers do, and lets clients in as `io`
    /// runs, in one thread. Lives as long as that.
    Gate(asio::io_context& io, const GateOptions& options);

    std::uint16_t port() const { return listener_.port(); }

private:
    awaitable<void> accept_all();

    const GateOptions options_;
    Listener listener_;
    Timer shortage_;               // between two tries to get a descriptor
    bool server_missing_ = false;  // and that has been said
};

}  // namespace unfreeze
