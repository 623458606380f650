#include "common/json.hpp"

#include <rapidjson/reader.h>

#include <array>
#include <limits>
#include <string>

#include "clients/probe/black_box.hpp"
#include "common/net/io.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// Collects the strings of a JSON text.
struct Strings : rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Strings> {
    bool String(const char* text, rapidjson::SizeType size, bool) {
        all.emplace_back(text, size);
        return true;
    }
    std::vector<std::string> all;
};

/// All strings of a JSON text; nothing if it is not valid JSON in UTF-8.
std::optional<std::vector<std::string>> strings_in(const std::string& json) {
    Strings strings;
    rapidjson::StringStream stream{json.c_str()};
    const rapidjson::ParseResult read =
        rapidjson::Reader{}.Parse<rapidjson::kParseValidateEncodingFlag>(stream, strings);
    return read ? std::optional{strings.all} : std::nullopt;
}

/// A string as JSON writes it.
std::string json_string(std::string_view bytes) {
    const std::string object = JsonObject{}.add("", bytes).text();
    return object.substr(4, object.size() - 5);  // without {"": and }
}

/// Reads once from each connection, sends the given bytes, and closes it.
class FixedResponseServer {
public:
    explicit FixedResponseServer(std::string bytes) : bytes_{std::move(bytes)} {
        accept();
        thread_ = std::thread{[this] { io_.run_for(std::chrono::minutes{1}); }};
    }
    ~FixedResponseServer() {
        io_.stop();
        thread_.join();
    }
    FixedResponseServer(const FixedResponseServer&) = delete;
    FixedResponseServer& operator=(const FixedResponseServer&) = delete;

    std::string name() const {
        return fmt::format("127.0.0.1:{}", acceptor_.local_endpoint().port());
    }

private:
    void accept() {
        acceptor_.async_accept([this](asio::error_code error, asio::ip::tcp::socket socket) {
            if (!error) {
                std::array<char, 16 * 1024> read;
                socket.read_some(asio::buffer(read), error);
                asio::write(socket, asio::buffer(bytes_), error);
                accept();
            }
        });
    }

    const std::string bytes_;
    asio::io_context io_{1};
    asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    std::thread thread_;
};

}  // namespace

TEST_CASE("Any bytes become a valid JSON string") {
    CHECK(json_string("") == R"("")");
    CHECK(json_string("a \"b\" \\ c\n\x01") == R"("a \"b\" \\ c\n\u0001")");
    CHECK(json_string({"\0", 1}) == R"("\u0000")");
    CHECK(json_string("Grüße, 你好 🙂") == "\"Grüße, 你好 🙂\"");
    const std::string replaced = "\xEF\xBF\xBD";  // U+FFFD
    CHECK(json_string("\xFF") == "\"" + replaced + "\"");
    CHECK(json_string("\xC3\"") == "\"" + replaced + "\\\"\"");           // a truncated sequence
    CHECK(json_string("\xE4\xBD") == "\"" + replaced + replaced + "\"");  // ... at the end
    CHECK(json_string("\xC0\xAF") == "\"" + replaced + replaced + "\"");  // an overlong encoding
    CHECK(json_string("\xED\xA0\x80x") ==
          "\"" + replaced + replaced + replaced + "x\"");  // half a surrogate pair
    for (int first = 0; first < 256; ++first) {
        for (int second = 0; second < 256; ++second) {
            const std::string bytes{static_cast<char>(first), static_cast<char>(second), 'x'};
            const auto read = strings_in("[" + json_string(bytes) + "]");
            REQUIRE(read);
            REQUIRE(read->at(0).back() == 'x');
        }
    }
}

TEST_CASE("An object keeps its members in order, and its numbers are valid JSON") {
    CHECK(JsonObject{}.text() == "{}");
    CHECK(JsonObject{}
              .add("text", "true")
              .add("bool", true)
              .add("number", std::uint64_t{18'446'744'073'709'551'615U})
              .add("negative", -1)
              .add("rate", 2.04)
              .add("none", std::numeric_limits<double>::infinity())
              .add_json("list", "[1]")
              .text() ==
          R"({"text":"true","bool":true,"number":18446744073709551615,"negative":-1,"rate":2.0,)"
          R"("none":null,"list":[1]})");
}

TEST_CASE("The JSON that tools write is valid, whatever bytes a server sends") {
    const FixedResponseServer server{
        "HTTP/1.1 503 \"No\\\r\nRetry-After: \"\\\tx\xFF\xC3\r\nContent-Length: 3\r\n"
        "Content-Type: text/html\"\\\xE4\r\n\r\n\"\\\xFF"};
    const std::string file = fmt::format("/tmp/json_test_{}.json", getpid());
    const std::string line = fmt::format("echo listening on {}; exec cat", server.name());
    const std::string matrix = output_of(
        {program("matrix"), "--stage 10 --jobs 1 --json " + file, {"--spawn", line}}, 2min);
    INFO(matrix);
    CHECK(matrix.ends_with(" cells as expected\nexit 1\n"));
    const auto written = strings_in(text_of(file));
    std::filesystem::remove(file);
    REQUIRE(written);
    for (const std::string figure :
         {"Retry-After: \"\\\tx\xEF\xBF\xBD\xEF\xBF\xBD", "of text/html\"\\\xEF\xBF\xBD"}) {
        CHECK(std::any_of(written->begin(), written->end(),
                          [&](const std::string& text) { return text.ends_with(figure); }));
    }

    const std::string client =
        output_of({program("client"), "1 --json --requests 3 --server " + server.name()});
    INFO(client);
    const auto printed = strings_in(client.substr(0, client.find("\nexit ")));
    REQUIRE(printed);
    CHECK(std::count(printed->begin(), printed->end(), "idle-client") == 1);
}
