#include "clients/probe/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <asio.hpp>
#include <cstdio>
#include <iterator>
#include <list>
#include <numeric>
#include <optional>

#include "clients/probe/connection.hpp"
#include "clients/probe/conversation.hpp"
#include "common/http/response_parser.hpp"
#include "common/json.hpp"
#include "common/net/spawn.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using std::chrono::steady_clock;

/// The interval of the check for overdue requests, and of redrawing the bar.
constexpr auto tick = 20ms;

/// A simulated client, which sends one request after another.
struct Client {
    explicit Client(asio::io_context& io) : socket{io}, due_timer{io} {}

    tcp::socket socket;
    asio::steady_timer due_timer;  // fires when the next request is due
    ResponseParser parser;
    steady_clock::time_point deadline = steady_clock::time_point::max();
    bool overdue = false;           // the deadline has passed, and watch() has closed the socket
    bool response_started = false;  // a byte of the response has arrived
    std::size_t connection = 0;     // its number in the recorded conversation
};

/// A load in progress.
class Load {
public:
    Load(const Target& target, const LoadOptions& options) : target_{target}, options_{options} {}

    LoadReport run() {
        start_ = steady_clock::now();
        for (std::size_t i = 0; i < std::min(options_.concurrency, options_.requests); ++i) {
            ++running_;
            asio::co_spawn(io_, run_client(clients_.emplace_back(io_)), stop_on_exception);
        }
        asio::co_spawn(io_, watch(), stop_on_exception);
        io_.run();
        report_.never_sent = options_.requests - next_;
        report_.duration =
            std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - start_);
        return report_;
    }

private:
    /// Sends the next request of the load until none is left.
    asio::awaitable<void> run_client(Client& client) {
        while (next_ < options_.requests && !given_up()) {
            const std::size_t n = next_++;
            auto due = steady_clock::now();
            if (options_.rate > 0) {
                due = start_ + n * 1'000'000'000ns / options_.rate;
                client.due_timer.expires_at(due);
                co_await client.due_timer.async_wait(asio::use_awaitable);
            }
            const std::string request =
                post(options_.body(n), options_.keep_alive ? "" : "Connection: close\r\n");
            const std::optional<LoadError> error = co_await exchange(client, request);
            count(client, error, n, due);
        }
        if (--running_ == 0) {
            tick_timer_.cancel();
        }
    }

    /// Sends a request and reads its response, with at most one retry.
    asio::awaitable<std::optional<LoadError>> exchange(Client& client, const std::string& request) {
        client.deadline = steady_clock::now() + options_.timeout_ms;
        client.overdue = false;
        const bool reused = client.socket.is_open();
        std::optional<LoadError> error = co_await exchange_once(client, request);
        if (error && should_retry({.reused = reused,
                                   .closed = error == LoadError::closed,
                                   .response_started = client.response_started})) {
            ++report_.sent_again;
            asio::error_code closed_already;
            client.socket.close(closed_already);
            error = co_await exchange_once(client, request);
        }
        co_return error;
    }

    asio::awaitable<std::optional<LoadError>> exchange_once(Client& client,
                                                            const std::string& request) {
        client.response_started = false;
        asio::error_code error;
        if (!client.socket.is_open()) {
            client.parser = {};
            client.connection = target_.conversation != nullptr ? target_.conversation->open() : 0;
            open_socket(client.socket, target_);
            co_await client.socket.async_connect(target_.endpoint(),
                                                 asio::redirect_error(asio::use_awaitable, error));
            record(client, error ? Conversation::Event::refused : Conversation::Event::connected);
            if (error) {
                co_return client.overdue ? LoadError::timeout : LoadError::connect;
            }
            client.socket.set_option(tcp::no_delay{true}, error);
        }
        co_await asio::async_write(client.socket, asio::buffer(request),
                                   asio::redirect_error(asio::use_awaitable, error));
        record(client, Conversation::Event::sent, request);
        if (client.overdue) {
            co_return LoadError::timeout;
        }
        // Reads even if writing fails: a server may reject a request before it has read all of it.
        std::array<char, 16 * 1024> buffer;
        for (;;) {
            const std::size_t bytes = co_await client.socket.async_read_some(
                asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
            client.response_started = client.response_started || bytes > 0;
            client.parser.feed({buffer.data(), bytes});
            record(client, Conversation::Event::received, {buffer.data(), bytes});
            ResponseParser::Result result = client.parser.next();
            if (result == ResponseParser::Result::need_more && error) {
                if (client.overdue) {
                    co_return LoadError::timeout;
                }
                result = error == asio::error::eof ? client.parser.end_of_stream()
                                                   : ResponseParser::Result::malformed;
                if (result == ResponseParser::Result::malformed) {
                    co_return LoadError::closed;
                }
            }
            if (result == ResponseParser::Result::malformed) {
                co_return LoadError::malformed;
            }
            if (result == ResponseParser::Result::response) {
                co_return std::nullopt;
            }
        }
    }

    void record(const Client& client, Conversation::Event event, std::string_view bytes = {}) {
        if (target_.conversation != nullptr) {
            target_.conversation->record(client.connection, event, bytes);
        }
    }

    void count(Client& client, std::optional<LoadError> error, std::size_t n,
               steady_clock::time_point due) {
        client.deadline = steady_clock::time_point::max();
        const ReceivedResponse& response = client.parser.response();
        if (!error) {
            const auto latency =
                std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - due);
            report_.latency.record(latency);
            if (options_.answered) {
                options_.answered(
                    {.n = n, .due = due, .latency = latency, .status = response.status});
            }
            if (response.status / 100 == 2) {
                ++report_.accepted;
            } else if (response.status == 503) {
                ++report_.rejected;
                report_.rejection_latency.record(latency);
            } else {
                error = LoadError::status;
            }
        }
        if (error) {
            ++report_.errors[static_cast<std::size_t>(*error)];
        }
        const bool answered = !error || *error == LoadError::status;
        timeouts_in_a_row_ = error == LoadError::timeout ? timeouts_in_a_row_ + 1 : 0;
        if (!answered || !options_.keep_alive || !response.keep_alive) {
            asio::error_code closed_already;
            client.socket.close(closed_already);
        }
        ++done_;
    }

    /// Closes the sockets of overdue requests, and draws the bar, until all clients have ended.
    asio::awaitable<void> watch() {
        while (running_ > 0) {
            tick_timer_.expires_after(tick);
            asio::error_code last_client_ended;
            co_await tick_timer_.async_wait(
                asio::redirect_error(asio::use_awaitable, last_client_ended));
            const auto now = steady_clock::now();
            for (Client& client : clients_) {
                if (now > client.deadline) {
                    client.overdue = true;
                    client.deadline = steady_clock::time_point::max();
                    asio::error_code closed_already;
                    client.socket.close(closed_already);
                }
            }
            if (options_.progress) {
                draw_bar();
            }
        }
        if (options_.progress) {
            fmt::print(stderr, "\r{:60}\r", "");
        }
    }

    bool given_up() const {
        constexpr std::size_t at_least = 10;  // if few requests are in flight
        return timeouts_in_a_row_ >= std::max(clients_.size(), at_least);
    }

    void draw_bar() const {
        constexpr std::size_t width = 40;
        const std::size_t filled = width * done_ / options_.requests;
        fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {}/{}", "", filled, "", width - filled, done_,
                   options_.requests);
    }

    const Target& target_;
    const LoadOptions& options_;
    LoadReport report_;
    std::size_t next_ = 0;  // the number of the next request
    std::size_t done_ = 0;  // requests counted in report_
    std::size_t timeouts_in_a_row_ = 0;
    std::size_t running_ = 0;
    steady_clock::time_point start_;
    asio::io_context io_{1};
    asio::steady_timer tick_timer_{io_};
    std::list<Client> clients_;  // a list: the coroutines hold references
};

std::string quantiles_in_ms(const LatencyHistogram& latency) {
    return fmt::format("p50 {:.2f} ms   p90 {:.2f} ms   p99 {:.2f} ms   max {:.2f} ms",
                       in_ms(latency.quantile(0.50)), in_ms(latency.quantile(0.90)),
                       in_ms(latency.quantile(0.99)), in_ms(latency.max()));
}

std::string quantiles_in_json(const LatencyHistogram& latency) {
    return JsonObject{}
        .add("p50", latency.quantile(0.50).count())
        .add("p90", latency.quantile(0.90).count())
        .add("p99", latency.quantile(0.99).count())
        .add("max", latency.max().count())
        .text();
}

}  // namespace

std::string_view name_of(LoadError error) {
    constexpr std::array<std::string_view, load_error_kinds> names{"connect", "timeout", "closed",
                                                                   "malformed", "status"};
    return names.at(static_cast<std::size_t>(error));
}

std::uint64_t LoadReport::errors_in_all() const {
    return std::accumulate(errors.begin(), errors.end(), std::uint64_t{0});
}

double LoadReport::answered_per_second() const {
    return static_cast<double>(latency.count()) / std::chrono::duration<double>(duration).count();
}

LoadReport run_load(const Target& target, const LoadOptions& options) {
    return Load{target, options}.run();
}

std::string to_text(const LoadReport& report) {
    std::string text = fmt::format("  accepted {}   rejected {}   errors {}", report.accepted,
                                   report.rejected, report.errors_in_all());
    const auto append = [&text]<typename... T>(fmt::format_string<T...> format, T&&... values) {
        fmt::format_to(std::back_inserter(text), format, std::forward<T>(values)...);
    };
    for (std::size_t kind = 0; kind < load_error_kinds; ++kind) {
        if (report.errors[kind] > 0) {
            append(", {} {}", report.errors[kind], name_of(static_cast<LoadError>(kind)));
        }
    }
    append("\n  {:.0f} answers a second over {:.2f} s\n", report.answered_per_second(),
           std::chrono::duration<double>(report.duration).count());
    if (report.latency.count() > 0) {
        append("  latency {}\n", quantiles_in_ms(report.latency));
    }
    if (report.rejected > 0) {
        append("  of 503s {}\n", quantiles_in_ms(report.rejection_latency));
    }
    if (report.sent_again > 0) {
        append("  {} retried on a new connection\n", report.sent_again);
    }
    if (report.never_sent > 0) {
        append("  stopped early: the server does not answer; {} requests were not sent\n",
               report.never_sent);
    }
    return text;
}

std::string to_json(const LoadReport& report) {
    JsonObject errors;
    for (std::size_t kind = 0; kind < load_error_kinds; ++kind) {
        errors.add(name_of(static_cast<LoadError>(kind)), report.errors[kind]);
    }
    return JsonObject{}
        .add("accepted", report.accepted)
        .add("rejected", report.rejected)
        .add_json("errors", errors.text())
        .add("never_sent", report.never_sent)
        .add("sent_again", report.sent_again)
        .add("duration_us", report.duration.count())
        .add("answers_per_second", report.answered_per_second())
        .add_json("latency_us", quantiles_in_json(report.latency))
        .add_json("rejection_latency_us", quantiles_in_json(report.rejection_latency))
        .text();
}

}  // namespace unfreeze
