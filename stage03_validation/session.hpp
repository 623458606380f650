#pragma once

#include <asio.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/command_line.hpp"
#include "common/http/message.hpp"
#include "common/http/request_parser.hpp"
#include "stage03_validation/deadline.hpp"

namespace unfreeze {

/// The limits of one connection, in bytes and in time.
struct SessionLimits {
    HttpLimits http;
    std::chrono::milliseconds idle_ms{30'000};   // between requests, and before the first
    std::chrono::milliseconds head_ms{10'000};   // for a whole head, from its first byte
    std::chrono::milliseconds body_ms{30'000};   // for a whole body, from the end of its head
    std::chrono::milliseconds write_ms{30'000};  // for the client to take its responses
    std::chrono::milliseconds linger_ms{2'000};  // for a refused client to stop sending
};

void add_options(CommandLine& command_line, SessionLimits& limits);

/// One client's connection. It trusts no client: requests are bounded, timed and validated, and
/// each refusal gets a response with the reason. A client's error ends its session and is never an
/// exception. An idle connection closes without a response when its time is over, because the
/// client would take that for the response to its next request.
class Session {
public:
    /// Refers to all three, which outlive it. No other code uses the socket meanwhile.
    Session(Socket& socket, const SessionLimits& limits, const Clock& clock = Clock::steady());

    /// The next request, in order of arrival; null when the session is over. It is valid until the
    /// next call. While whole requests are buffered, their responses gather, and leave in one
    /// write.
    awaitable<const Request*> next();

    /// Sends the response to the request that next() returned last. Each request gets one response.
    void reply(const Response& response);

    /// Sends the gathered responses now: call it before slow work. If the client does not take them
    /// in time, the session ends.
    awaitable<void> flush();

    /// For stage 10: the current request is the last one. The connection closes after its response,
    /// and at once if there is no such request. Returns true for a client that only reads, by GET
    /// or HEAD: it may go on. Call it on the session's thread.
    bool finish();

    /// For stage 9: calls `count`, on the session's thread, for each request that the session
    /// itself refuses because its bytes are invalid, too many, too slow or cut off. Set it before
    /// the first next().
    void on_refusal(std::function<void()> count) { count_refusal_ = std::move(count); }

    Executor get_executor() { return socket_.get_executor(); }

private:
    using Phase = RequestParser::Phase;

    enum class State {
        open,
        closing,  // the last response is made, but not sent yet
        broken,   // nothing more can be sent
    };

    /// The state of a request in flight, or of a part of one. Most connections are idle most of the
    /// time, and have none.
    struct Exchange {
        RequestParser parser;
        std::string output = {};  // responses that are not sent yet
    };

    /// Keeps an exchange for the thread's next session that receives bytes.
    struct Recycle {
        void operator()(Exchange* exchange) const noexcept;
    };
    static std::vector<std::unique_ptr<Exchange>>& spare_exchanges();

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
    Deadline deadline_;                            // refers to socket_, so it goes first
    std::unique_ptr<Exchange, Recycle> exchange_;  // null while the connection is idle
    std::optional<Phase> timed_phase_;             // the phase that due_ belongs to
    Clock::time_point due_;                        // its end: more bytes do not extend it
    Clock::time_point now_ = clock_.now();  // of the last read, or of the first gathered response
    std::function<void()> count_refusal_;   // for stage 9
    bool refused_ = false;                  // the client may still be sending
    bool only_reads_ = false;               // for stage 10: its last request was safe
    bool finishing_ = false;                // for stage 10: its next response is the last one
    State state_ = State::open;
};

}  // namespace unfreeze
