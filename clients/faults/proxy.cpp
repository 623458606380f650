#include "clients/faults/proxy.hpp"

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

/// On their way in each direction.
constexpr std::size_t pieces_max = 16;

/// What comes behind a piece.
enum class End { none, closed, reset };

/// What was read at once, and leaves when it is due.
struct Piece {
    std::string bytes;
    clock::time_point due;
    End end;
};

/// From one side to the other. A reader puts pieces in, and a writer takes them out: two coroutines
/// that wake each other by cancelling the timer that the other one waits on.
struct Direction {
    Direction(Socket& from_side, Socket& to_side, Verb what)
        : from{from_side}, to{to_side}, verb{what} {}

    /// Nobody is to wait any more, and nothing to be written.
    void stop() {
        over = true;
        pieces.clear();
        reader.cancel();
        writer.cancel();
    }

    Socket& from;
    Socket& to;
    const Verb verb;
    std::deque<Piece> pieces;
    clock::time_point last_due;
    bool over = false;  // no more pieces will be put in, or none be taken out
    Timer reader{from.get_executor()};
    Timer writer{from.get_executor()};
};

/// A client and the server, as it is connected for this client. Shared by the four coroutines that
/// read and write; the last one that ends takes it, and the connections, with it.
struct Passage {
    Passage(Socket its_client, const GateOptions& its_options, std::size_t seed)
        : options{its_options},
          client{std::move(its_client)},
          random{static_cast<std::mt19937::result_type>(seed)} {}

    void meddle(Piece& piece);
    void reset();

    const GateOptions& options;
    Socket client;
    Socket server{client.get_executor()};
    Direction requests{client, server, options.verb};
    Direction answers{server, client,
                      options.verb == Verb::delayed || options.verb == Verb::throttled
                          ? options.verb
                          : Verb::pass};
    std::size_t requested = 0;  // bytes of requests so far
    std::mt19937 random;
    std::size_t next_corrupted = random() % options.every_bytes;  // counted as the bytes are
};

/// What the verbs do that change what is said, and not just when.
void Passage::meddle(Piece& piece) {
    const std::size_t before = requested;
    requested += piece.bytes.size();
    const std::size_t every = options.every_bytes;
    while (options.verb == Verb::corrupted && next_corrupted < requested) {
        char& byte = piece.bytes[next_corrupted - before];
        byte = static_cast<char>(byte ^ static_cast<char>(1 + random() % 255));
        next_corrupted = (next_corrupted / every + 1) * every + random() % every;
    }
    const bool ends = options.verb == Verb::reset || options.verb == Verb::half_closed;
    if (ends && requested >= options.after_bytes) {
        piece.bytes.resize(options.after_bytes - std::min(before, options.after_bytes));
        piece.end = std::max(piece.end, options.verb == Verb::reset ? End::reset : End::closed);
    }
}

/// Ends both connections at once, as a crash would, and with them the coroutines.
void Passage::reset() {
    asio::error_code closed_already;
    for (Socket* const socket : {&client, &server}) {
        socket->set_option(asio::socket_base::linger{true, 0}, closed_already);
        socket->close(closed_already);
    }
    requests.stop();
    answers.stop();
}

/// Waits for that moment, or for less long: whoever waits for something looks whether it is there.
awaitable<void> wait(Timer& timer, clock::time_point until = clock::time_point::max()) {
    timer.expires_at(until);
    asio::error_code woken;
    co_await timer.async_wait(asio::redirect_error(use_awaitable, woken));
}

/// How much is read, and so written, at a time.
std::size_t piece_bytes_max(Verb verb, const GateOptions& options) {
    constexpr std::size_t one = 1;
    constexpr std::size_t enough = 16 * 1024;
    switch (verb) {
        case Verb::byte_by_byte: return one;
        case Verb::throttled: return std::clamp(options.bytes_per_second / 100, one, enough);
        default: return enough;
    }
}

/// The next piece that `from` sends. What is to be joined gathers in the kernel meanwhile.
awaitable<Piece> read(Direction& direction, const GateOptions& options) {
    asio::error_code error;
    if (direction.verb == Verb::joined) {
        co_await direction.from.async_wait(Socket::wait_read,
                                           asio::redirect_error(use_awaitable, error));
        Timer gathering{direction.from.get_executor(), options.join_ms};
        co_await gathering.async_wait(use_awaitable);
    }
    std::string bytes(piece_bytes_max(direction.verb, options), '\0');
    bytes.resize(co_await direction.from.async_read_some(
        asio::buffer(bytes), asio::redirect_error(use_awaitable, error)));
    const End end = !error ? End::none : error == asio::error::eof ? End::closed : End::reset;
    auto due = clock::now();
    if (direction.verb == Verb::delayed) {
        due += options.delay_ms;
    } else if (direction.verb == Verb::throttled) {
        due = std::max(due, direction.last_due) +
              bytes.size() * 1'000'000'000ns / options.bytes_per_second;
    }
    direction.last_due = due;
    co_return Piece{std::move(bytes), due, end};
}

awaitable<void> read_all(std::shared_ptr<Passage> passage, Direction& direction) {
    bool last = false;
    while (!last && !direction.over) {
        Piece piece = co_await read(direction, passage->options);
        last = piece.end != End::none;
        if (&direction == &passage->requests) {
            passage->meddle(piece);
        }
        while (!direction.over && direction.pieces.size() == pieces_max) {
            co_await wait(direction.reader);
        }
        if (!direction.over) {
            direction.pieces.push_back(std::move(piece));
            direction.over = last;
            direction.writer.cancel();
        }
    }
}

awaitable<void> write_all(std::shared_ptr<Passage> passage, Direction& direction) {
    asio::error_code error;
    while (!error && !(direction.over && direction.pieces.empty())) {
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
        if (piece.end == End::closed) {
            asio::error_code closed_already;
            direction.to.shutdown(Socket::shutdown_send, closed_already);
        } else if (piece.end == End::reset) {
            passage->reset();
        }
    }
    direction.stop();
}

awaitable<void> connect(std::shared_ptr<Passage> passage, bool& server_missing) {
    const Target& server = passage->options.server;
    asio::error_code error;
    co_await passage->server.async_connect(server.endpoint(),
                                           asio::redirect_error(use_awaitable, error));
    if (error && !server_missing) {
        notice(fmt::format("no server at {}: {}", server.name(), error.message()));
    }
    server_missing = static_cast<bool>(error);
    if (error) {
        passage->reset();
        co_return;
    }
    passage->server.set_option(tcp::no_delay{true}, error);
    for (Direction* const direction : {&passage->requests, &passage->answers}) {
        const auto executor = passage->client.get_executor();
        asio::co_spawn(executor, read_all(passage, *direction), stop_on_exception);
        asio::co_spawn(executor, write_all(passage, *direction), stop_on_exception);
    }
}

}  // namespace

Gate::Gate(asio::io_context& io, const GateOptions& options)
    : options_{options}, listener_{io, options_.listen}, shortage_{io} {
    asio::co_spawn(io, accept_all(), stop_on_exception);
}

/// A client costs two descriptors. Nobody is accepted before the last one has both, so clients that
/// have one each can't wait for each other's.
awaitable<void> Gate::accept_all() {
    for (std::size_t n = 0;; ++n) {
        Socket client = co_await listener_.async_accept();
        const auto executor = client.get_executor();
        const auto passage =
            std::make_shared<Passage>(std::move(client), options_, options_.seed + n);
        asio::error_code error;
        passage->server.open(options_.server.endpoint().protocol(), error);
        if (error) {
            notice(fmt::format("accept paused: {}; retrying every 100 ms", error.message()));
        }
        while (error) {
            shortage_.expires_after(100ms);
            co_await shortage_.async_wait(use_awaitable);
            passage->server.open(options_.server.endpoint().protocol(), error);
        }
        asio::co_spawn(executor, connect(passage, server_missing_), stop_on_exception);
    }
}

}  // namespace unfreeze
