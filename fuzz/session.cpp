// Any bytes to a session, in pieces, with a response to each request: the session ends when its
// client does, and sends only complete responses.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/net/spawn.hpp"
#include "fuzz/check.hpp"
#include "stage03_validation/event.hpp"
#include "stage03_validation/session.hpp"

namespace {

using namespace unfreeze;

awaitable<void> serve(Socket socket, const SessionLimits& limits, std::size_t& answers,
                      bool& ended) {
    Session session{socket, limits};
    while (const Request* request = co_await session.next()) {
        const auto event = route(*request);
        const auto* refusal = std::get_if<Response>(&event);
        session.reply(refusal != nullptr ? *refusal : Response{.body = "accepted"});
        ++answers;
    }
    ended = true;
}

/// The number of responses in these bytes, which must be nothing else.
std::size_t count_answers(std::string_view bytes) {
    constexpr std::string_view length_field = "\r\nContent-Length: ";
    std::size_t answers = 0;
    while (!bytes.empty()) {
        check(bytes.starts_with("HTTP/1.1 "), "a response begins where the last one ends");
        const std::size_t head_end = bytes.find("\r\n\r\n");
        check(head_end != bytes.npos, "a response has a complete head");
        if (bytes.starts_with("HTTP/1.1 100 ")) {
            bytes.remove_prefix(head_end + 4);
            continue;
        }
        const std::size_t length_at = bytes.find(length_field) + length_field.size();
        check(length_at < head_end, "a response has a length");
        std::size_t length = 0;
        for (std::size_t i = length_at; bytes[i] != '\r'; ++i) {
            length = length * 10 + static_cast<std::size_t>(bytes[i] - '0');
        }
        bytes.remove_prefix(head_end + 4);
        const bool to_head = bytes.size() < length || bytes.starts_with("HTTP/1.1 ");  // no body
        bytes.remove_prefix(to_head ? 0 : length);
        ++answers;
    }
    return answers;
}

}  // namespace

/// The first byte chooses the size of the pieces. The session runs between them, as far as it can
/// without waiting.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1 || size > 64 * 1024) {
        return 0;
    }
    const std::size_t piece_bytes = 1u + data[0];
    std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
    const SessionLimits limits{.http = {.head_bytes_max = 512, .body_bytes_max = 256}};

    std::size_t answers = 0;
    bool ended = false;
    asio::io_context io;
    std::array<int, 2> ends{};
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0, "a socket pair");
    Socket server{io};
    server.assign(asio::ip::tcp::v4(), ends[1]);
    asio::co_spawn(io, serve(std::move(server), limits, answers, ended), stop_on_exception);

    std::string received;
    const auto run_and_receive = [&] {
        io.poll();
        std::array<char, 16 * 1024> buffer;
        for (ssize_t n = 0; (n = read(ends[0], buffer.data(), buffer.size())) > 0;) {
            received.append(buffer.data(), static_cast<std::size_t>(n));
            io.poll();
        }
    };
    while (!bytes.empty() && !ended) {
        const ssize_t sent =
            send(ends[0], bytes.data(), std::min(piece_bytes, bytes.size()), MSG_NOSIGNAL);
        run_and_receive();
        bytes.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
    }
    shutdown(ends[0], SHUT_WR);
    run_and_receive();
    run_and_receive();
    check(ended, "a session ends when its client has closed");
    const std::size_t heard = count_answers(received);
    check(heard == answers || heard == answers + 1,
          "each request has a response, and a refusal has one");
    close(ends[0]);
    return 0;
}
