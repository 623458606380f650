#include "clients/claims/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "clients/probe/account.hpp"
#include "clients/probe/conversation.hpp"
#include "clients/probe/json_members.hpp"

namespace unfreeze {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::size_t body_shown_max = 100;

/// Quotes a text for a shell, if it is printable.
std::string shell_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        out += c == '\'' ? "'\\''" : std::string{c};
    }
    return out + "'";
}

bool is_get(const std::string& bytes, std::string_view path) {
    return bytes == get(path) || bytes == get(path, "Connection: close\r\n");
}

}  // namespace

Reply reply_from(Connection& connection, std::chrono::milliseconds bound) {
    const auto start = steady_clock::now();
    Reply reply{.response = connection.receive(bound)};
    reply.took = steady_clock::now() - start;
    reply.none = connection.no_response();
    return reply;
}

Reply ask(const Target& target, std::string_view bytes, std::chrono::milliseconds bound) {
    const auto start = steady_clock::now();
    Connection connection{target};
    connection.send(bytes, bound);
    Reply reply = reply_from(connection, bound);
    reply.took = steady_clock::now() - start;
    return reply;
}

std::string get(std::string_view path, std::string_view fields) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: unfreeze\r\n{}\r\n", path, fields);
}

std::string to_text(const Reply& reply) {
    if (!reply.response) {
        return to_text(reply.none);
    }
    std::string body = reply.response->body;
    body.resize(body.find_last_not_of("\r\n ") + 1);
    const bool cut = body.size() > body_shown_max;
    body.resize(std::min(body.size(), body_shown_max));
    return fmt::format("{} {}{}{}(after {:.1f} ms)", reply.status(), escaped(body),
                       cut ? "..." : "", body.empty() ? "" : " ", in_ms(reply.took));
}

std::string request_text(const std::string& bytes) {
    constexpr std::size_t most = 300;
    const std::size_t body = bytes.find("\r\n\r\n");
    std::string text = bytes;
    if (body != std::string::npos) {
        const std::string path = bytes.substr(4, bytes.find(' ', 4) - 4);
        text = bytes == post(bytes.substr(body + 4)) ? "POST / " + escaped(bytes.substr(body + 4))
               : is_get(bytes, path)                 ? "GET " + path
                                                     : escaped(bytes);
    }
    return text.size() <= most
               ? text
               : fmt::format("{} ... ({} bytes)", text.substr(0, most), bytes.size());
}

void Cases::add(bool passed, std::string_view sent, std::string_view expected, std::string_view got,
                bool by_framework) {
    ++size_;
    if (passed) {
        ++passed_;
    } else {
        failures_.push_back(
            {std::string{sent}, std::string{expected}, std::string{got}, by_framework});
    }
}

void Cases::add_timed(bool passed, std::string_view sent, std::string_view expected,
                      std::string_view got) {
    add(passed, sent, expected, got);
    if (!passed) {
        failures_.back().timed = true;
    }
}

void Cases::add(bool passed, std::string_view sent, std::string_view expected, const Reply& reply,
                bool by_framework) {
    add(passed, sent, expected, to_text(reply), by_framework);
    if (!passed) {
        failures_.back().timed = reply.none.reason == NoResponse::Reason::late;
    }
}

void Cases::repeat_with(const std::string& command) {
    for (Failure& failure : failures_) {
        failure.by_hand = command;
    }
}

bool serves_next_client(const Target& target, Cases& cases) {
    const std::string request = post(event_body(0));
    const Reply reply = ask(target, request);
    if (!reply.response) {
        cases.add(false, request, fmt::format("a response within {} ms", frozen_after.count()),
                  reply);
    }
    return reply.response.has_value();
}

Finding no_balance(const Target& target, std::string_view user) {
    const std::string query = Account::query(user);
    const Reply reply = ask(target, query, 3s);
    Cases cases;
    cases.add(false, query,
              R"(200 and a JSON object {"balance":N} within 3 s, and N rises as events are done)",
              reply);
    if (reply.response && !JsonMembers::parse(reply.response->body)) {
        cases.add(false, query, "a JSON object",
                  fmt::format("a body of {} bytes that is not one", reply.response->body.size()));
    }
    return {.figure = "no balance",
            .summary = "no state",
            .test = Finding::Test::impossible,
            .failures = cases.failures()};
}

Finding unknown(std::string figure) {
    return {.figure = std::move(figure), .summary = "unknown", .test = Finding::Test::unknown};
}

std::string by_hand(const std::string& bytes) {
    const std::size_t body = bytes.find("\r\n\r\n");
    if (body == std::string::npos || bytes.size() > 2'000) {
        return {};
    }
    const std::string text = bytes.substr(body + 4);
    const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
    });
    if (printable && bytes == post(text)) {
        return fmt::format("curl -i -d {} http://127.0.0.1:$PORT/", shell_quoted(text));
    }
    const std::string path = bytes.substr(4, bytes.find(' ', 4) - 4);
    if (text.empty() && is_get(bytes, path)) {
        return fmt::format("curl -i http://127.0.0.1:$PORT{}", path);
    }
    std::string format;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        format += c == '%'    ? "%%"
                  : c == '\r' ? "\\r"
                  : c == '\n' ? "\\n"
                  : c == '\\' || c == '\'' || byte < 0x20 || byte > 0x7e
                      ? fmt::format("\\{:03o}", byte)
                      : std::string{c};
    }
    return fmt::format("printf '{}' | nc -w 5 127.0.0.1 $PORT", format);
}

}  // namespace unfreeze
