#include "clients/faults/fault_proxy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <string>

#include "common/log.hpp"
#include "common/net/spawn.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// Pieces in flight in each direction.
constexpr std::size_t pieces_max = 16;

/// The event that follows a piece.
enum class End { none, end_of_stream, reset };

/// The bytes of one read, written when they are due.
struct Piece {
    std::string bytes;
    clock::time_point due;
    End end;
};

/// One direction of a relay. A reader coroutine queues pieces, and a writer coroutine takes them
/// out. Each wakes the other by cancelling the timer that the other one waits on.
struct Direction {
    Direction(Socket& from_side, Socket& to_side, Fault injected)
        : from{from_side}, to{to_side}, fault{injected} {}

    /// Discards the queued pieces and ends both coroutines.
    void stop() {
        closed = true;
        pieces.clear();
        reader.cancel();
        writer.cancel();
    }

    Socket& from;
    Socket& to;
    const Fault fault;
    std::deque<Piece> pieces;
    clock::time_point last_due;
    bool closed = false;  // the reader queues no more pieces
    Timer reader{from.get_executor()};
    Timer writer{from.get_executor()};
};

/// A client's connection, and the connection to the server that was opened for this client. The
/// four coroutines that read and write share it; the last one to end destroys it.
struct Relay {
    Relay(Socket accepted, const FaultProxyOptions& proxy_options, std::size_t seed)
        : options{proxy_options},
          client{std::move(accepted)},
          random{static_cast<std::mt19937::result_type>(seed)} {}

    void apply(Piece& piece);
    void reset();

    const FaultProxyOptions& options;
    Socket client;
    Socket server{client.get_executor()};
    Direction requests{client, server, options.fault};
    Direction responses{server, client,
                        options.fault == Fault::delay || options.fault == Fault::throttle
                            ? options.fault
                            : Fault::pass};
    std::size_t request_bytes = 0;  // so far
    std::mt19937 random;
    std::size_t next_corrupt = random() % options.every_bytes;  // an index of a request byte
};

/// Applies the faults that change the bytes of requests. The others change only their timing.
void Relay::apply(Piece& piece) {
    const std::size_t before = request_bytes;
    request_bytes += piece.bytes.size();
    const std::size_t every = options.every_bytes;
    while (options.fault == Fault::corrupt && next_corrupt < request_bytes) {
        char& byte = piece.bytes[next_corrupt - before];
        byte = static_cast<char>(byte ^ static_cast<char>(1 + random() % 255));
        next_corrupt = (next_corrupt / every + 1) * every + random() % every;
    }
    const bool cuts = options.fault == Fault::reset || options.fault == Fault::half_close;
    if (cuts && request_bytes >= options.after_bytes) {
        piece.bytes.resize(options.after_bytes - std::min(before, options.after_bytes));
        piece.end =
            std::max(piece.end, options.fault == Fault::reset ? End::reset : End::end_of_stream);
    }
}

/// Resets both connections, as a crash would, which ends the coroutines.
void Relay::reset() {
    asio::error_code closed_already;
    for (Socket* const socket : {&client, &server}) {
        socket->set_option(asio::socket_base::linger{true, 0}, closed_already);
        socket->close(closed_already);
    }
    requests.stop();
    responses.stop();
}

/// Waits until then, or until the timer is cancelled. The caller checks its condition again.
awaitable<void> wait(Timer& timer, clock::time_point until = clock::time_point::max()) {
    timer.expires_at(until);
    asio::error_code woken;
    co_await timer.async_wait(asio::redirect_error(use_awaitable, woken));
}

/// The most that is read, and so written, at once.
std::size_t piece_bytes_max(Fault fault, const FaultProxyOptions& options) {
    constexpr std::size_t one = 1;
    constexpr std::size_t full = 16 * 1024;
    switch (fault) {
        case Fault::split: return one;
        case Fault::throttle: return std::clamp(options.bytes_per_second / 100, one, full);
        default: return full;
    }
}

/// Reads the next piece. Bytes to be joined gather in the kernel in the meantime.
awaitable<Piece> read(Direction& direction, const FaultProxyOptions& options) {
    asio::error_code error;
    if (direction.fault == Fault::join) {
        co_await direction.from.async_wait(Socket::wait_read,
                                           asio::redirect_error(use_awaitable, error));
        Timer gathering{direction.from.get_executor(), options.join_ms};
        co_await gathering.async_wait(use_awaitable);
    }
    std::string bytes(piece_bytes_max(direction.fault, options), '\0');
    bytes.resize(co_await direction.from.async_read_some(
        asio::buffer(bytes), asio::redirect_error(use_awaitable, error)));
    const End end = !error                      ? End::none
                    : error == asio::error::eof ? End::end_of_stream
                                                : End::reset;
    auto due = clock::now();
    if (direction.fault == Fault::delay) {
        due += options.delay_ms;
    } else if (direction.fault == Fault::throttle) {
        due = std::max(due, direction.last_due) +
              bytes.size() * 1'000'000'000ns / options.bytes_per_second;
    }
    direction.last_due = due;
    co_return Piece{.bytes = std::move(bytes), .due = due, .end = end};
}

awaitable<void> read_all(std::shared_ptr<Relay> relay, Direction& direction) {
    bool last = false;
    while (!last && !direction.closed) {
        Piece piece = co_await read(direction, relay->options);
        last = piece.end != End::none;
        if (&direction == &relay->requests) {
            relay->apply(piece);
        }
        while (!direction.closed && direction.pieces.size() == pieces_max) {
            co_await wait(direction.reader);
        }
        if (!direction.closed) {
            direction.pieces.push_back(std::move(piece));
            direction.closed = last;
            direction.writer.cancel();
        }
    }
}

awaitable<void> write_all(std::shared_ptr<Relay> relay, Direction& direction) {
    asio::error_code error;
    while (!error && !(direction.closed && direction.pieces.empty())) {
        if (direction.pieces.empty()) {
            co_await wait(direction.writer);
            continue;
        }
        const Piece piece = std::move(direction.pieces.front());
        direction.pieces.pop_front();
        direction.reader.cancel();
        while (direction.to.is_open() && clock::now() < piece.due) {
            co_await wait(direction.writer, piece.due);
        }
        co_await asio::async_write(direction.to, asio::buffer(piece.bytes),
                                   asio::redirect_error(use_awaitable, error));
        if (piece.end == End::end_of_stream) {
            asio::error_code closed_already;
            direction.to.shutdown(Socket::shutdown_send, closed_already);
        } else if (piece.end == End::reset) {
            relay->reset();
        }
    }
    direction.stop();
}

awaitable<void> connect(std::shared_ptr<Relay> relay, bool& server_unreachable) {
    const Target& server = relay->options.server;
    asio::error_code error;
    co_await relay->server.async_connect(server.endpoint(),
                                         asio::redirect_error(use_awaitable, error));
    if (error && !server_unreachable) {
        notice(fmt::format("can't connect to {}: {}", server.name(), error.message()));
    }
    server_unreachable = static_cast<bool>(error);
    if (error) {
        relay->reset();
        co_return;
    }
    relay->server.set_option(tcp::no_delay{true}, error);
    for (Direction* const direction : {&relay->requests, &relay->responses}) {
        const auto executor = relay->client.get_executor();
        asio::co_spawn(executor, read_all(relay, *direction), stop_on_exception);
        asio::co_spawn(executor, write_all(relay, *direction), stop_on_exception);
    }
}

}  // namespace

FaultProxy::FaultProxy(asio::io_context& io, const FaultProxyOptions& options)
    : options_{options}, listener_{io, options_.listen}, retry_timer_{io} {
    asio::co_spawn(io, accept_all(), stop_on_exception);
}

/// A client takes two descriptors. The proxy gets both before it accepts the next client, so two
/// clients that have one descriptor each never wait for each other.
awaitable<void> FaultProxy::accept_all() {
    for (std::size_t n = 0;; ++n) {
        Socket client = co_await listener_.async_accept();
        const auto executor = client.get_executor();
        const auto relay = std::make_shared<Relay>(std::move(client), options_, options_.seed + n);
        asio::error_code error;
        relay->server.open(options_.server.endpoint().protocol(), error);
        if (error) {
            notice(fmt::format("accept paused: {}; retrying every 100 ms", error.message()));
        }
        while (error) {
            retry_timer_.expires_after(100ms);
            co_await retry_timer_.async_wait(use_awaitable);
            relay->server.open(options_.server.endpoint().protocol(), error);
        }
        asio::co_spawn(executor, connect(relay, server_unreachable_), stop_on_exception);
    }
}

}  // namespace unfreeze
