#include "clients/probe/connection.hpp"

#include <fmt/format.h>

#include <array>
#include <system_error>

namespace unfreeze {

void open_socket(asio::ip::tcp::socket& socket, const Target& target) {
    asio::error_code error;
    socket.open(target.endpoint().protocol(), error);
    if (error) {
        throw std::system_error{error, "can't open another connection"};
    }
}

std::string to_text(const NoResponse& none) {
    using Reason = NoResponse::Reason;
    const double after = none.after.count();
    switch (none.reason) {
        case Reason::none: break;
        case Reason::late:
            return fmt::format("late (no response in {:.2f} s{})", after, none.detail);
        case Reason::closed: return fmt::format("closed (after {:.2f} s{})", after, none.detail);
        case Reason::reset: return fmt::format("reset (after {:.2f} s{})", after, none.detail);
        case Reason::malformed: return fmt::format("malformed ({})", none.detail);
        case Reason::refused:
            return fmt::format("refused to connect (after {:.2f} s{})", after, none.detail);
    }
    return "a response";
}

Connection::Connection(const Target& target) : target_{target} { connect(); }

Connection::~Connection() {
    if (socket_.is_open() && !ended_) {
        record(Conversation::Event::left);
    }
}

void Connection::connect() {
    number_ = target_.conversation != nullptr ? target_.conversation->open() : 0;
    sent_ = std::chrono::steady_clock::now();
    open_socket(socket_, target_);
    asio::error_code error = asio::error::timed_out;
    socket_.async_connect(target_.endpoint(),
                          [&](const asio::error_code& result) { error = result; });
    connected_ = run(default_timeout) && !error;
    if (connected_) {
        socket_.set_option(asio::ip::tcp::no_delay{true}, error);
        record(Conversation::Event::connected);
    } else {
        fail(NoResponse::Reason::refused, ": " + error.message());
    }
}

bool Connection::send(std::string_view bytes, std::chrono::milliseconds timeout) {
    if (closed_ || !connected_) {
        return false;
    }
    sent_ = std::chrono::steady_clock::now();
    asio::error_code error;
    std::size_t written = 0;
    asio::async_write(socket_, asio::buffer(bytes),
                      [&](const asio::error_code& result, std::size_t size) {
                          error = result;
                          written = size;
                      });
    const bool in_time = run(timeout);
    record(Conversation::Event::sent, bytes.substr(0, written));
    closed_ = in_time && error;
    return in_time && !error;
}

std::optional<ReceivedResponse> Connection::receive(std::chrono::milliseconds timeout) {
    using Reason = NoResponse::Reason;
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    std::array<char, 16 * 1024> buffer;
    if (!connected_) {
        return std::nullopt;
    }
    for (;;) {
        ResponseParser::Result result = parser_.next();
        if (result == ResponseParser::Result::need_more && !ended_) {
            asio::error_code error;
            std::size_t bytes = 0;
            socket_.async_read_some(asio::buffer(buffer),
                                    [&](const asio::error_code& e, std::size_t n) {
                                        error = e;
                                        bytes = n;
                                    });
            const bool in_time = run(std::chrono::duration_cast<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now()));
            parser_.feed({buffer.data(), bytes});
            record(Conversation::Event::received, {buffer.data(), bytes});
            unanswered_bytes_ += bytes;
            if (!in_time && bytes == 0) {
                return fail(Reason::late);
            }
            ended_ = static_cast<bool>(error);
            if (ended_) {
                was_reset_ = error != asio::error::eof;
                record(was_reset_ ? Conversation::Event::reset : Conversation::Event::closed);
            }
            continue;
        }
        if (result == ResponseParser::Result::need_more) {
            result = parser_.end_of_stream();
            if (result == ResponseParser::Result::malformed) {
                return fail(was_reset_ ? Reason::reset : Reason::closed);
            }
        }
        if (result != ResponseParser::Result::response) {
            return fail(Reason::malformed, parser_.fault());
        }
        unanswered_bytes_ = 0;
        ++responses_;
        return std::move(parser_.response());
    }
}

std::nullopt_t Connection::fail(NoResponse::Reason reason, std::string detail) {
    if (unanswered_bytes_ > 0 && reason != NoResponse::Reason::malformed) {
        detail += fmt::format(", inside a response, {} bytes of which arrived", unanswered_bytes_);
    }
    if (reason == NoResponse::Reason::refused) {
        record(Conversation::Event::refused);
    } else if (reason == NoResponse::Reason::late) {
        record(Conversation::Event::timed_out);
    }
    no_response_ = {reason, std::chrono::steady_clock::now() - sent_, std::move(detail)};
    return std::nullopt;
}

void Connection::record(Conversation::Event event, std::string_view bytes) {
    if (target_.conversation != nullptr) {
        target_.conversation->record(number_, event, bytes);
    }
}

std::optional<ReceivedResponse> Connection::exchange(std::string_view request,
                                                     std::chrono::milliseconds timeout) {
    const bool reused = responses_ > 0;
    // Receives even if sending fails: a server may reject a request before it has read all of it.
    send(request, timeout);
    std::optional<ReceivedResponse> response = receive(timeout);
    if (!response &&
        should_retry(
            {.reused = reused, .closed = ended_, .response_started = unanswered_bytes_ > 0})) {
        asio::error_code closed_already;
        socket_.close(closed_already);
        parser_ = {};
        ended_ = false;
        was_reset_ = false;
        closed_ = false;
        responses_ = 0;
        connect();
        send(request, timeout);
        response = receive(timeout);
    }
    return response;
}

bool Connection::closed_by_server(std::chrono::milliseconds timeout) {
    if (ended_) {
        return true;
    }
    std::string discarded;
    asio::error_code error;
    asio::async_read(socket_, asio::dynamic_buffer(discarded),
                     [&](const asio::error_code& result, std::size_t) { error = result; });
    const bool closed = run(timeout);
    record(Conversation::Event::received, discarded);
    if (closed) {
        ended_ = true;
        was_reset_ = error != asio::error::eof;
        record(was_reset_ ? Conversation::Event::reset : Conversation::Event::closed);
    }
    return closed;
}

void Connection::finish_sending() {
    asio::error_code closed_already;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, closed_already);
    record(Conversation::Event::ended);
}

void Connection::reset() {
    asio::error_code closed_already;
    socket_.set_option(asio::socket_base::linger{true, 0}, closed_already);
    socket_.close(closed_already);
}

bool Connection::run(std::chrono::milliseconds timeout) {
    io_.restart();
    io_.run_for(timeout);
    if (io_.stopped()) {
        return true;
    }
    asio::error_code closed_already;
    socket_.cancel(closed_already);
    io_.run();
    return false;
}

std::optional<std::chrono::microseconds> probe(const Target& target,
                                               std::chrono::milliseconds timeout) {
    const auto start = std::chrono::steady_clock::now();
    Connection connection{target};
    if (!connection.connected() || !connection.send(post(event_body(0)), timeout) ||
        !connection.receive(timeout)) {
        return std::nullopt;
    }
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                 start);
}

std::string in_words(std::optional<std::chrono::microseconds> response_time,
                     std::chrono::milliseconds timeout) {
    return response_time ? fmt::format("answered in {:.1f} ms", in_ms(*response_time))
                         : fmt::format("no answer in {} ms", timeout.count());
}

}  // namespace unfreeze
