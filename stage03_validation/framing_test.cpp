#include "stage03_validation/framing_test.hpp"

#include <array>
#include <asio.hpp>
#include <cstdio>
#include <map>
#include <regex>
#include <set>
#include <vector>

#include "common/http/grammar.hpp"
#include "common/net/listener.hpp"
#include "common/net/spawn.hpp"
#include "stage03_validation/event.hpp"
#include "stage03_validation/session.hpp"

using namespace unfreeze;

namespace {

// ---- a session and its client -------------------------------------------------------------------

/// Answers each request as the server of stage 3 does.
awaitable<void> serve(Socket socket, SessionLimits limits, bool& ended) {
    Session session{socket, limits};
    while (const Request* request = co_await session.next()) {
        const auto message = route(*request);
        const auto* refusal = std::get_if<Response>(&message);
        session.reply(refusal ? *refusal : Response{.body = R"({"status":"accepted"})"});
    }
    ended = true;
}

/// "200 accepted, 404 not_found, ": each response's status, and the reason or status in its body.
std::string summarize(const std::string& responses) {
    static const std::regex status_line{R"(HTTP/1\.1 (\d{3}) [A-Za-z ]+\r\n)"};
    static const std::regex word{R"/("(?:reason|status)":"(?!error)(\w+)")/"};
    std::string words;
    auto rest = std::sregex_iterator{responses.begin(), responses.end(), status_line};
    while (rest != std::sregex_iterator{}) {
        const std::smatch found = *rest++;
        const auto end = rest == std::sregex_iterator{} ? responses.end() : (*rest)[0].first;
        std::smatch match;
        words += found[1].str();
        words += std::regex_search(found[0].second, end, match, word) ? " " + match[1].str() : "";
        words += ", ";
    }
    return words;
}

/// A session and its client, connected by a pair of sockets, in one thread. Bytes arrive at once,
/// so no test has to wait.
class Dialogue {
public:
    Dialogue() : client_{io_} {
        asio::local::stream_protocol::socket other{io_};
        asio::local::connect_pair(client_, other);
        client_.non_blocking(true);
        Socket server{io_};
        server.assign(tcp::v4(), other.release());
        asio::co_spawn(io_, serve(std::move(server), {.http = row_limits}, ended_),
                       stop_on_exception);
    }

    void send(std::string_view bytes) {
        asio::error_code gone;
        asio::write(client_, asio::buffer(bytes), gone);
        run();
    }

    void end() {
        client_ended_ = true;
        asio::error_code gone;
        client_.shutdown(asio::socket_base::shutdown_send, gone);
        run();
    }

    /// The responses that the client has received, and whether the server has closed. Then ends the
    /// client, and checks that the session ends without another response.
    std::string finish() {
        const std::string responses = received_;
        const bool closed = closed_;
        const bool says_close = responses.find("\r\nConnection: close\r\n") != responses.npos;
        const bool mismatch = says_close != closed && !client_ended_;
        end();
        CHECK(ended_);
        CHECK(closed_);
        CHECK(received_ == responses);
        return summarize(responses) + (closed ? "closed" : "open") +
               (mismatch ? ", but Connection says otherwise" : "");
    }

private:
    void run() {
        bool more = true;
        while (more) {
            const std::size_t before = received_.size();
            io_.restart();
            more = io_.poll() > 0;
            asio::error_code error;
            while (!error) {
                std::array<char, 4096> buffer;
                received_.append(buffer.data(), client_.read_some(asio::buffer(buffer), error));
            }
            closed_ = closed_ || error == asio::error::eof;
            more = more || received_.size() > before;
        }
    }

    bool ended_ = false;  // outlives io_, in whose coroutines it is set
    bool client_ended_ = false;
    bool closed_ = false;
    std::string received_;
    asio::io_context io_;
    asio::local::stream_protocol::socket client_;
};

/// The responses to a client that sends these pieces, and then perhaps ends its side.
std::string responses_to(const Pieces& pieces, bool then_ends = false) {
    Dialogue dialogue;
    for (const std::string_view piece : pieces) {
        dialogue.send(piece);
    }
    if (then_ends) {
        dialogue.end();
    }
    return dialogue.finish();
}

// ---- the rows -----------------------------------------------------------------------------------

std::string summarize(const Answer& answer) {
    return fmt::format("{} {}, ", answer.status, answer.word);
}

std::string described(const Valid& row) {
    return describe(row.line, row.body, row.after == After::stays);
}

/// Each row's rule and its bytes.
std::vector<std::pair<std::string, std::string>> rules() {
    std::vector<std::pair<std::string, std::string>> all;
    for (const Valid& row : valid_requests) {
        all.emplace_back(row.rule, row.bytes);
    }
    for (const Refused& row : refused_requests) {
        all.emplace_back(row.rule, row.bytes);
    }
    for (const Exchange& row : exchanges) {
        all.emplace_back(row.rule, row.bytes + (row.then_ends ? " and an end" : ""));
    }
    return all;
}

/// The sections of RFC 9112 with requirements for servers, or for all recipients of requests.
const std::set<std::string> server_sections{
    "2.1",   "2.2",   "2.3", "3",   "3.1", "3.2", "3.2.1", "3.2.2", "3.2.3", "3.2.4", "3.3",
    "4",     "5",     "5.1", "5.2", "6",   "6.1", "6.2",   "6.3",   "7",     "7.1",   "7.1.1",
    "7.1.2", "7.1.3", "7.2", "7.4", "8",   "9.3", "9.3.2", "9.5",   "9.6"};

}  // namespace

TEST_CASE(
    "Every section of RFC 9112 that applies to servers has rows, and each row names its section") {
    std::map<std::string, int> rows_of;  // by section of RFC 9112
    std::set<std::string> all_bytes;
    int rows = 0;
    for (const auto& [rule, bytes] : rules()) {
        std::smatch match;
        INFO(rule);
        REQUIRE(std::regex_match(rule, match, std::regex{R"((\d{4}) (\d+(\.\d+)*): .+)"}));
        CHECK(all_bytes.insert(bytes).second);
        rows_of[match[2]] += match[1] == "9112" ? 1 : 0;
        rows += match[1] == "9112" ? 1 : 0;
    }
    std::set<std::string> sections;
    for (const auto& [section, count] : rows_of) {
        if (count > 0) {
            std::printf("RFC 9112, section %s: %d rows\n", section.c_str(), count);
            sections.insert(section);
        }
    }
    std::printf("RFC 9112 has %d rows, other RFCs %zu\n", rows,
                all_bytes.size() - static_cast<std::size_t>(rows));
    CHECK(sections == server_sections);
    CHECK(rows >= 250);
}

// ---- the parser ---------------------------------------------------------------------------------

TEST_CASE("Valid requests are read, however their bytes are split") {
    for (const Valid& row : valid_requests) {
        INFO("RFC " << row.rule);
        CHECK(odd_cut(row.bytes, described(row), row_limits) == "");
    }
}

TEST_CASE("Invalid requests are refused with the same error, however their bytes are split") {
    for (const Refused& row : refused_requests) {
        INFO("RFC " << row.rule);
        check_refused(row.bytes, row.answer, row.word, row_limits);
    }
}

TEST_CASE("Invalid requests are also refused after a valid one") {
    const std::string before = with_length("hello");
    for (const Refused& row : refused_requests) {
        INFO("RFC " << row.rule);
        const std::string expected = read({before}, row_limits) + read({row.bytes}, row_limits);
        CHECK(odd_cut(before + row.bytes, expected, row_limits) == "");
    }
}

TEST_CASE("Valid requests in a row are read in order") {
    std::string bytes;
    std::string expected;
    for (const Valid& row : valid_requests) {
        bytes += row.bytes;
        expected += described(row);
    }
    CHECK(read({bytes}, row_limits) == expected);
    CHECK(read(one_by_one(bytes), row_limits) == expected);
}

// ---- the session --------------------------------------------------------------------------------

TEST_CASE(
    "Valid requests get their responses, and so does the next request if the connection stays "
    "open") {
    for (const Valid& row : valid_requests) {
        INFO("RFC " << row.rule);
        const std::string response = summarize(row.answer);
        const std::string expected = row.after == After::stays
                                         ? response + summarize(accepted) + "open"
                                         : response + "closed";
        CHECK(responses_to({row.bytes + good_event}) == expected);
        const bool waits = row.bytes.find("100-") != std::string::npos;  // for 100 Continue
        CHECK(responses_to(one_by_one(row.bytes + good_event)) ==
              (waits ? "100, " : "") + expected);
        CHECK(responses_to({row.bytes}, true) == response + "closed");
    }
}

TEST_CASE(
    "Invalid requests are refused, the connection closes, and later requests get no response") {
    for (const Refused& row : refused_requests) {
        INFO("RFC " << row.rule);
        const std::string expected = summarize(row.answer) + "closed";
        CHECK(responses_to({row.bytes + good_event}) == expected);
        CHECK(responses_to(one_by_one(row.bytes + good_event)) == expected);
        CHECK(responses_to({row.bytes, good_event, good_event}) == expected);
        CHECK(responses_to({good_event + row.bytes + good_event}) ==
              summarize(accepted) + expected);
    }
}

TEST_CASE("A refusal of HEAD has no body, whatever the reason") {
    std::size_t rows = 0;
    for (const Refused& row : refused_requests) {
        std::string bytes = row.bytes;
        const std::size_t method_end = bytes.find(' ');
        if (!bytes.starts_with("GET ") && !bytes.starts_with("POST ")) {
            continue;
        }
        bytes.replace(0, method_end, "HEAD");
        INFO("RFC " << row.rule);
        const std::string expected = fmt::format("{}, closed", row.answer.status);
        CHECK(responses_to({bytes}) == expected);
        CHECK(responses_to(one_by_one(bytes)) == expected);
        ++rows;
    }
    CHECK(rows > 200);
}

TEST_CASE("A client that stops sending before a request's last byte gets 400") {
    for (const Valid& row : valid_requests) {
        INFO("RFC " << row.rule);
        const std::string_view bytes = row.bytes;
        CHECK(read({bytes.substr(0, bytes.size() - 1)}, row_limits) == "unfinished\n");
        CHECK(responses_to({bytes.substr(0, bytes.size() - 1)}, true) ==
              summarize(bad_request) + "closed");
    }
}

TEST_CASE(
    "The requests of a connection get their responses in order, until the connection closes") {
    for (const Exchange& row : exchanges) {
        INFO("RFC " << row.rule);
        CHECK(responses_to({row.bytes}, row.then_ends) == row.responses);
        CHECK(responses_to(one_by_one(row.bytes), row.then_ends) == row.responses);
    }
}

// ---- byte by byte -------------------------------------------------------------------------------

TEST_CASE("Each position in a request allows certain bytes, and no others") {
    const auto set_of = [](bool (*contains)(char)) {
        std::string set;
        for (int byte = 0; byte < 256; ++byte) {
            const char c = static_cast<char>(byte);
            set += contains(c) ? std::string{c} : "";
        }
        return set;
    };
    const std::string token = set_of(is_token_char);
    const std::string text = set_of([](char c) { return !is_control_char(c); });
    const std::string quoted =
        set_of([](char c) { return !is_control_char(c) && c != '"' && c != '\\'; }) + "\\";
    const std::string hex = "0123456789ABCDEFabcdef";
    const std::string uri =
        "!$&'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz~";
    const std::string host =
        "!$&'()*+-.0123456789:;=ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    struct {
        std::string_view position;
        std::string before;
        std::string after;
        std::string allowed;
    } const rows[] = {
        {"a method", "G", "T / HTTP/1.1\r\nHost: a\r\n\r\n", token},
        {"a path", "GET /", "a HTTP/1.1\r\nHost: a\r\n\r\n", uri},
        {"a query", "GET /?a", " HTTP/1.1\r\nHost: a\r\n\r\n", uri},
        {"a minor version", "GET / HTTP/1.", "\r\nHost: a\r\n\r\n", "0123456789"},
        {"a Host", "GET / HTTP/1.1\r\nHost: a", "0\r\n\r\n", host},
        {"a field's name", "GET / HTTP/1.1\r\nHost: a\r\nX", "Y: b\r\n\r\n", token + ":"},
        {"a field's value", "GET / HTTP/1.1\r\nHost: a\r\nX: a", "b\r\n\r\n", text},
        {"a length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0", "\r\n\r\n", "\t 0"},
        {"a coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked", "\r\n\r\n0\r\n\r\n",
         "\t ,"},
        {"an escaped byte's first digit", "GET /%", "0 HTTP/1.1\r\nHost: a\r\n\r\n", hex},
        {"its second digit", "GET /?%0", " HTTP/1.1\r\nHost: a\r\n\r\n", hex},
        {"an address of a later version of IP", "GET / HTTP/1.1\r\nHost: [v1.", "]\r\n\r\n", host},
        {"a chunk's size", chunked("0"), "\r\n\r\n", "0"},
        {"an extension", chunked("0;a"), "b\r\n\r\n", token + ";="},
        {"an extension in quotation marks", chunked("0;a=\""), "b\"\r\n\r\n", quoted},
        {"a byte escaped there", chunked("0;a=\"\\"), "b\"\r\n\r\n", text},
        {"a trailer field's name", chunked("0\r\nX"), "Y: b\r\n\r\n", token + ":"},
        {"a trailer field's value", chunked("0\r\nX: a"), "b\r\n\r\n", text},
    };
    for (const auto& row : rows) {
        std::string allowed;
        for (int byte = 0; byte < 256; ++byte) {
            const std::string bytes = row.before + static_cast<char>(byte) + row.after;
            const std::string seen = read({bytes}, row_limits);
            const bool refused = seen.starts_with("4") || seen == "unfinished\n";
            allowed += refused ? "" : std::string{static_cast<char>(byte)};
        }
        INFO(row.position);
        std::string expected = row.allowed;
        std::sort(expected.begin(), expected.end(), [](char a, char b) {
            return static_cast<unsigned char>(a) < static_cast<unsigned char>(b);
        });
        CHECK(allowed == expected);
    }
}
