#include "stage03_validation/session.hpp"

#include <fmt/format.h>

#include <array>
#include <cassert>
#include <span>

#include "common/http/request_parser.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;

/// Responses to a pipelining client gather up to this size before they are sent.
constexpr std::size_t output_bytes_max = 16 * 1024;

/// A thread keeps up to 16 exchanges for reuse, unless their buffers have grown.
constexpr std::size_t spares_max = 16;
constexpr std::size_t spare_bytes_max = 4 * 1024;

/// One read buffer for all sockets of a thread, because the bytes go to the parser before another
/// session can run. Thousands of idle connections then need no read buffers.
std::span<char> read_buffer() {
    thread_local std::array<char, 16 * 1024> buffer;
    return buffer;
}

}  // namespace

void add_options(CommandLine& command_line, SessionLimits& limits) {
    command_line.add("--head-bytes-max", limits.http.head_bytes_max, 64, 1 << 20,
                     "largest request line and fields together");
    command_line.add("--body-bytes-max", limits.http.body_bytes_max, 0, 1 << 30, "largest body");
    command_line.add("--idle-ms", limits.idle_ms, 1ms, 24h, "time between requests");
    command_line.add("--head-ms", limits.head_ms, 1ms, 24h, "time for a whole head");
    command_line.add("--body-ms", limits.body_ms, 1ms, 24h, "time for a whole body");
    command_line.add("--write-ms", limits.write_ms, 1ms, 24h,
                     "time for a client to take responses");
    command_line.add("--linger-ms", limits.linger_ms, 0ms, 24h,
                     "time for a refused client to stop sending");
}

Session::Session(Socket& socket, const SessionLimits& limits, const Clock& clock)
    : socket_{socket}, limits_{limits}, clock_{clock}, deadline_{socket_, clock} {
    asio::error_code broken_already;
    socket_.non_blocking(true, broken_already);
}

awaitable<const Request*> Session::next() {
    while (state_ == State::open) {
        if (exchange().output.size() >= output_bytes_max) {
            co_await flush();
            continue;
        }
        RequestParser& parser = exchange_->parser;
        const RequestParser::Result result = parser.next();
        if (result == RequestParser::Result::request) {
            co_return &parser.request();
        }
        if (result == RequestParser::Result::refused) {
            refuse(parser.refusal());
            break;
        }
        if (parser.take_continue()) {
            exchange_->output += "HTTP/1.1 100 Continue\r\n\r\n";
        }
        if (!send_now()) {
            co_await flush();
        }
        if (state_ != State::open) {
            break;
        }
        expect_bytes();
        if (state_ != State::open) {
            break;
        }

        // Wait first, then read: an idle connection needs no buffer.
        asio::error_code wait_error;
        co_await socket_.async_wait(Socket::wait_read,
                                    asio::redirect_error(use_awaitable, wait_error));
        take_bytes();
    }
    co_await flush();
    co_await linger();
    co_return nullptr;
}

void Session::reply(const Response& response) {
    Request request = exchange_->parser.request();
    request.keep_alive = request.keep_alive && !response.close && !finishing_;
    append(response, request);
    timed_phase_.reset();
    only_reads_ = request.is_safe();
    if (!request.keep_alive) {
        state_ = State::closing;
    }
}

bool Session::finish() {
    assert(socket_.get_executor().running_in_this_thread());
    if (only_reads_ && phase() == Phase::idle) {
        return true;
    }
    finishing_ = true;
    if (state_ == State::open && timed_phase_ == Phase::idle && phase() == Phase::idle) {
        // next() waits for bytes.
        deadline_.expire_at(clock_.now());
    }
    return false;
}

/// Nearly always the kernel takes all of the output at once, so neither a wait nor a deadline is
/// needed. A large output is left to flush(), so that other sessions run in between. Returns false
/// if flush() has something left to do.
bool Session::send_now() {
    if (state_ == State::broken || !exchange_ || exchange_->output.empty()) {
        return true;
    }
    std::string& output = exchange_->output;
    if (output.size() < output_bytes_max) {
        asio::error_code error;
        output.erase(0, socket_.write_some(asio::buffer(output), error));
        if (error && error != asio::error::would_block) {
            state_ = State::broken;
        }
    }
    return state_ == State::broken || output.empty();
}

awaitable<void> Session::flush() {
    if (send_now()) {
        co_return;
    }
    std::string& output = exchange_->output;
    deadline_.expire_at(clock_.now() + limits_.write_ms);
    asio::error_code error;
    std::size_t sent = 0;
    while (sent < output.size() && !error && !deadline_.expired()) {
        sent += co_await socket_.async_write_some(asio::buffer(output) + sent,
                                                  asio::redirect_error(use_awaitable, error));
    }
    if (sent < output.size()) {
        state_ = State::broken;
    }
    output.clear();
    now_ = clock_.now();
}

/// Sets the deadline, and frees what an idle connection does not need. Closes the connection if its
/// idle time is over and its last bytes, if any, did not begin a request.
void Session::expect_bytes() {
    const Phase phase = this->phase();
    if (phase == Phase::idle && timed_phase_ == phase && deadline_.expired()) {
        state_ = State::closing;
        return;
    }
    if (phase != timed_phase_) {
        timed_phase_ = phase;
        due_ = now_ + patience(phase);
    }
    deadline_.expire_at(finishing_ && phase == Phase::idle ? clock_.now() : due_);
    if (phase == Phase::idle && !exchange_->parser.has_bytes()) {
        exchange_.reset();
    } else {
        std::string{}.swap(exchange_->output);  // it is sent, and may be large
    }
}

/// Reads and feeds the parser, or ends the session: with 408 if a request took too long, and with
/// 400 if the client left inside one. If an idle connection's time is over, it reads once more,
/// because a request may have come meanwhile.
void Session::take_bytes() {
    if (deadline_.expired() && phase() != Phase::idle) {
        refuse(error_response(
            408, "timeout",
            fmt::format("the {} took longer than {} ms", phase() == Phase::head ? "head" : "body",
                        patience(phase()).count())));
        return;
    }
    asio::error_code error;
    const std::span<char> buffer = read_buffer();
    const std::size_t bytes = socket_.read_some(asio::buffer(buffer.data(), buffer.size()), error);
    if (error == asio::error::would_block) {
        return;  // a spurious wake-up: next() waits again, unless the time is over
    }
    if (error == asio::error::eof && phase() != Phase::idle) {
        refuse(error_response(400, "bad_request", "the connection ended inside a request"));
    } else if (error) {
        state_ = State::broken;
    } else {
        now_ = clock_.now();
        exchange().parser.feed({buffer.data(), bytes}, now_);
    }
}

/// Closes in two steps if the client may still be sending (RFC 9112 9.6): closing a socket with
/// unread bytes resets the connection, and the reset can overtake the response that gives the
/// reason.
awaitable<void> Session::linger() {
    asio::error_code error;
    const bool unread = exchange_ && exchange_->parser.has_bytes();
    if (state_ == State::broken || (!refused_ && !unread && socket_.available(error) == 0)) {
        co_return;
    }
    socket_.shutdown(Socket::shutdown_send, error);
    deadline_.expire_at(clock_.now() + limits_.linger_ms);
    while (!error || error == asio::error::would_block) {
        co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(use_awaitable, error));
        if (error || deadline_.expired()) {
            co_return;
        }
        const std::span<char> buffer = read_buffer();
        socket_.read_some(asio::buffer(buffer.data(), buffer.size()), error);
    }
}

/// Responses that leave together have one date, from one read of the clock.
void Session::append(const Response& response, const Request& request) {
    Exchange& current = exchange();
    if (current.output.empty()) {
        now_ = clock_.now();
    }
    append_response(current.output, response, request, now_);
}

void Session::refuse(const Response& response) {
    Request request;
    request.method = exchange().parser.method();
    append(response, request);
    refused_ = true;
    if (count_refusal_) {
        count_refusal_();
    }
    state_ = State::closing;
}

Session::Exchange& Session::exchange() {
    if (!exchange_) {
        auto& spares = spare_exchanges();
        if (spares.empty()) {
            exchange_.reset(new Exchange{RequestParser{limits_.http}});
        } else {
            exchange_.reset(spares.back().release());
            spares.pop_back();
            exchange_->parser.restart(limits_.http);
            exchange_->output.clear();
        }
    }
    return *exchange_;
}

std::vector<std::unique_ptr<Session::Exchange>>& Session::spare_exchanges() {
    thread_local std::vector<std::unique_ptr<Exchange>> spares;
    spares.reserve(spares_max);  // so that Recycle does not allocate
    return spares;
}

void Session::Recycle::operator()(Exchange* exchange) const noexcept {
    auto& spares = spare_exchanges();
    std::unique_ptr<Exchange> spare{exchange};
    if (spares.size() < spares_max && spare->parser.capacity() <= spare_bytes_max &&
        spare->output.capacity() <= spare_bytes_max) {
        spares.push_back(std::move(spare));
    }
}

std::chrono::milliseconds Session::patience(Phase phase) const {
    switch (phase) {
        case Phase::idle: return limits_.idle_ms;
        case Phase::head: return limits_.head_ms;
        case Phase::body: return limits_.body_ms;
    }
    return limits_.idle_ms;
}

}  // namespace unfreeze
