#pragma once

#include <asio.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/command_line.hpp"
#include "common/http/message.hpp"
#include "common/http/request_parser.hpp"
#include "stage03_validation/deadline.hpp"

namespace unfreeze {

/// What one connection may cost, in bytes and in time.
struct SessionLimits {
    HttpLimits http;
    std::chrono::milliseconds idle_ms{30'000};   // between requests, and before the first
    std::chrono::milliseconds head_ms{10'000};   // for a whole head, from its first byte
    std::chrono::milliseconds body_ms{30'000};   // for a whole body, from the end of its head
    std::chrono::milliseconds write_ms{30'000};  // for the client to take what it asked for
    std::chrono::milliseconds linger_ms{2'000};  // for a refused client to stop sending
};

void add_session_limits(CommandLine& command_line, SessionLimits& limits);

/// One client's connection. It trusts nobody: what comes is bounded, timed and checked, and every
/// refusal is answered in words. A client's error ends its session and is never an exception. A
/// connection that brings no byte of a request in time closes without a word: a client that keeps
/// it would take a response for the one to its next request.
class Session {
public:
    /// Refers to all three, which outlive it. Nobody else uses the socket meanwhile.
    Session(Socket& socket, const SessionLimits& limits, const Clock& clock = Clock::steady());

    /// The next request, in order of arrival; null when the session is over. It is good until the
    /// next call. While whole requests are at hand their answers gather, to leave in one write.
    awaitable<const Request*> next();

    /// Answers the request that next() gave last. Each request gets one answer.
    void reply(const Response& response);

    /// Sends the answers that have gathered, now: for whoever takes long over the next request.
    /// A client that does not take them in time has left, as far as we can tell.
    awaitable<void> flush();

    /// The request in hand is the last one: the connection closes behind its answer, and at once
    /// where there is none. Only a client that did no more than look, by GET or HEAD, may go on
    /// looking: true for such a one. To be called on the session's thread.
    bool finish();

    /// Has `told` called, on the session's thread, for each request that the session refuses
    /// itself: its bytes make no sense, are too many, come too slowly, or end before it is whole.
    /// To be called before the first next().
    void on_refusal(std::function<void()> told) { refusal_told_ = std::move(told); }

    Executor get_executor() { return socket_.get_executor(); }

private:
    using Phase = RequestParser::Phase;

    enum class State {
        open,
        closing,  // the last answer has been given and has yet to leave
        broken,   // nothing more can be sent
    };

    /// What a session needs while it has a request in hand, or a part of one. Most connections have
    /// none most of the time, and hold next to nothing then.
    struct Exchange {
        explicit Exchange(const HttpLimits& limits) : parser{limits} {}

        RequestParser parser;
        std::string output;     // answers on their way ...
        Clock::time_point now;  // ... and when the first of them was given
    };

    void expect_bytes();
    void take_bytes();
    bool send_now();
    awaitable<void> linger();
    void append(const Response& response, const Request& request);
    void refuse(const Response& response);
    Exchange& exchange();
    Phase phase() const { return exchange_ ? exchange_->parser.phase() : Phase::idle; }
    std::chrono::milliseconds patience(Phase phase) const;

    Socket& socket_;
    const SessionLimits& limits_;
    const Clock& clock_;
    Deadline deadline_;                   // refers to socket_, so it goes first
    std::unique_ptr<Exchange> exchange_;  // null while the client is silent between two requests
    std::optional<Phase> timed_phase_;    // what the client is expected to finish ...
    Clock::time_point due_;               // ... and by when: more bytes buy no more time
    std::function<void()> refusal_told_;  // told of each request that it refuses
    bool refused_ = false;                // the client may be sending what nobody will read
    bool looking_ = false;                // its last request changed nothing
    bool finishing_ = false;              // its next answer is the last one
    State state_ = State::open;
};

}  // namespace unfreeze
