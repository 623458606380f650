// The floor: the least that a request costs. A bare epoll loop on one thread answers each request
// head with the same bytes and parses nothing; the rest of another server's cost is the cost of its
// features. (With a connection for each request, stage 1 costs less: it serves one client at a time
// and needs no epoll.) The shortcuts: everything before an empty line is a head, "Connection:
// close" must arrive within one read, and the server drops a client that does not read its
// responses.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/http/message.hpp"
#include "common/log.hpp"
#include "common/net/listener.hpp"

namespace {

using namespace unfreeze;

constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::size_t read_bytes_max = 16 * 1024;

/// The response of stage 10 to an accepted event, `count` times, all with the same date.
std::string make_answers(std::size_t count, bool keep_alive) {
    Request request;
    request.keep_alive = keep_alive;
    std::string answers;
    for (std::size_t n = 0; n < count; ++n) {
        append_response(answers, {.status = 202, .body = R"({"status":"accepted"})"}, request);
    }
    return answers;
}

/// Reads once and answers with one write; returns whether the connection stays open. `carried` is
/// the number of bytes of a head's end that the last read ended with. This read may complete it.
bool serve(int client, std::uint8_t& carried) {
    static const std::string last = make_answers(1, false);
    static const std::size_t one_bytes = make_answers(1, true).size();
    static const std::string many = make_answers(read_bytes_max / head_end.size() + 1, true);
    static std::array<char, head_end.size() + read_bytes_max> buffer;
    char* const came = buffer.data() + head_end.size();
    const ssize_t bytes = recv(client, came, read_bytes_max, 0);
    if (bytes <= 0) {
        return false;
    }
    head_end.copy(came - carried, carried);
    std::string_view rest{came - carried, carried + static_cast<std::size_t>(bytes)};
    const bool over = rest.find("Connection: close") != rest.npos;
    std::size_t heads = 0;
    for (std::size_t end = 0; (end = rest.find(head_end)) != rest.npos; ++heads) {
        rest.remove_prefix(end + head_end.size());
    }
    carried = head_end.size() - 1;
    while (!rest.ends_with(head_end.substr(0, carried))) {
        --carried;
    }
    if (heads == 0) {
        return true;
    }
    std::string_view answers = std::string_view{many}.substr(0, heads * one_bytes);
    std::string ending;
    if (over) {
        answers = ending.append(answers.substr(one_bytes)).append(last);
    }
    const ssize_t sent = send(client, answers.data(), answers.size(), MSG_NOSIGNAL);
    return sent == static_cast<ssize_t>(answers.size()) && !over;
}

[[noreturn]] void run(int listener) {
    fcntl(listener, F_SETFL, O_NONBLOCK);  // the client may leave before accept4()
    const int epoll = epoll_create1(0);
    const auto watch = [epoll](int descriptor) {
        epoll_event event{EPOLLIN, {.fd = descriptor}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
    };
    watch(listener);
    std::vector<std::uint8_t> carried;  // for each connection, by its descriptor
    std::array<epoll_event, 256> events;
    for (;;) {
        const int ready = epoll_wait(epoll, events.data(), events.size(), -1);
        for (int i = 0; i < ready; ++i) {
            const int descriptor = events.at(static_cast<std::size_t>(i)).data.fd;
            if (descriptor != listener) {
                if (!serve(descriptor, carried[static_cast<std::size_t>(descriptor)])) {
                    close(descriptor);
                }
                continue;
            }
            const int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
            if (client >= 0) {
                carried.resize(std::max(carried.size(), static_cast<std::size_t>(client) + 1));
                carried[static_cast<std::size_t>(client)] = 0;
                watch(client);
            } else if (errno != EAGAIN && errno != ECONNABORTED) {
                fail(std::generic_category().message(errno));
            }
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    ListenOptions options;
    CommandLine command_line{"The least that a request costs: a server that parses nothing."};
    add_options(command_line, options);
    command_line.parse(argc, argv);
    asio::io_context io;
    Listener listener{io, options};
    run(listener.native_handle());
}
