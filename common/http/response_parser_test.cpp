#include "common/http/response_parser.hpp"

#include <algorithm>
#include <vector>

#include "common/catch.hpp"

using namespace unfreeze;

namespace {

using Result = ResponseParser::Result;

/// The results of parsing a stream.
struct Reading {
    std::vector<ReceivedResponse> responses;
    Result last = Result::need_more;
};

/// Feeds the bytes in pieces of that size, then the end of the stream if the server closes.
Reading read_in_pieces(std::string_view bytes, std::size_t piece, bool ends) {
    Reading reading;
    ResponseParser parser;
    while (!bytes.empty() && reading.last == Result::need_more) {
        parser.feed(bytes.substr(0, piece));
        bytes.remove_prefix(std::min(piece, bytes.size()));
        while ((reading.last = parser.next()) == Result::response) {
            reading.responses.push_back(parser.response());
        }
    }
    if (ends && reading.last == Result::need_more) {
        reading.last = parser.end_of_stream();
        if (reading.last == Result::response) {
            reading.responses.push_back(parser.response());
        }
    }
    return reading;
}

/// Parses the stream in one piece, and checks that small pieces give the same results.
Reading read(std::string_view bytes, bool ends = false) {
    const Reading whole = read_in_pieces(bytes, bytes.size(), ends);
    for (const std::size_t piece : {1U, 2U, 3U, 7U}) {
        const Reading cut = read_in_pieces(bytes, piece, ends);
        CAPTURE(bytes, piece);
        REQUIRE(cut.last == whole.last);
        REQUIRE(cut.responses.size() == whole.responses.size());
        for (std::size_t i = 0; i < cut.responses.size(); ++i) {
            REQUIRE(cut.responses[i].status == whole.responses[i].status);
            REQUIRE(cut.responses[i].head == whole.responses[i].head);
            REQUIRE(cut.responses[i].body == whole.responses[i].body);
            REQUIRE(cut.responses[i].keep_alive == whole.responses[i].keep_alive);
        }
    }
    return whole;
}

Reading read_to_end(std::string_view bytes) { return read(bytes, true); }

/// The one response in these bytes.
ReceivedResponse only(const Reading& reading) {
    REQUIRE(reading.responses.size() == 1);
    return reading.responses.front();
}

/// A response with no body and these fields, each with its CRLF.
std::string empty_response(std::string_view fields, std::string_view version = "HTTP/1.1") {
    return std::string{version} + " 200 OK\r\nContent-Length: 0\r\n" + std::string{fields} + "\r\n";
}

}  // namespace

TEST_CASE("A body ends where Content-Length says") {
    const Reading reading = read("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
    CHECK(reading.last == Result::need_more);
    const ReceivedResponse response = only(reading);
    CHECK(response.status == 201);
    CHECK(response.head == "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n");
    CHECK(response.body == "hello");
    CHECK(response.keep_alive);

    CHECK(only(read("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")).status == 503);
    CHECK(only(read("HTTP/1.1 503 Busy\r\ncontent-LENGTH:\t 2 \r\n\r\nab")).body == "ab");
    CHECK(only(read(empty_response("Content-Length: 0\r\n"))).body.empty());
}

TEST_CASE("A body may be any bytes, even the end of a head") {
    const std::string body{"\r\n\r\n\0HTTP/1.1 200 OK\r\n\r\n\xff", 25};
    const Reading reading = read("HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" + body);
    CHECK(only(reading).body == body);
}

TEST_CASE("A chunked body is decoded") {
    const Reading reading = read(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
        "5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\nX-Trailer: 1\r\n\r\n");
    CHECK(only(reading).body == "hello, world");
    CHECK(only(reading).keep_alive);
    CHECK(reading.last == Result::need_more);
}

TEST_CASE("Transfer-Encoding overrides Content-Length, and only the final coding frames the body") {
    const std::string chunks = "1\r\nx\r\n0\r\n\r\n";
    CHECK(only(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" +
                    chunks))
              .body == "x");
    CHECK(only(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + chunks)).body ==
          "x");
    CHECK(only(read_to_end("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + chunks)).body ==
          chunks);
}

TEST_CASE("Invalid chunks are malformed") {
    for (const char* chunks : {"x\r\n", "5\r\nhello world\r\n", "5 \r\nhello\r\n", "-1\r\n"}) {
        CAPTURE(chunks);
        const Reading reading =
            read(std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"} + chunks);
        CHECK(reading.last == Result::malformed);
        CHECK(reading.responses.empty());
    }
}

TEST_CASE("A body without a length ends with the connection") {
    const std::string_view bytes = "HTTP/1.1 200 OK\r\nServer: old\r\n\r\nall of it\r\n\r\n";
    CHECK(read(bytes).responses.empty());
    CHECK(read(bytes).last == Result::need_more);
    const ReceivedResponse response = only(read_to_end(bytes));
    CHECK(response.status == 200);
    CHECK(response.body == "all of it\r\n\r\n");
    CHECK(!response.keep_alive);
    CHECK(only(read_to_end("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n")).body.empty());
    CHECK(!only(read_to_end("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n")).keep_alive);
}

TEST_CASE("204 and 304 have no body, even with a Content-Length") {
    for (const char* status : {"204 No Content", "304 Not Modified"}) {
        for (const char* field : {"", "Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"}) {
            CAPTURE(status, field);
            const std::string bytes = std::string{"HTTP/1.1 "} + status + "\r\n" + field + "\r\n";
            const Reading reading = read(bytes + bytes);
            REQUIRE(reading.responses.size() == 2);
            CHECK(reading.responses[1].body.empty());
            CHECK(reading.responses[1].keep_alive);
        }
    }
}

TEST_CASE("Interim responses are skipped") {
    const std::string interim =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    CHECK(read(interim).responses.empty());
    CHECK(read(interim).last == Result::need_more);
    const ReceivedResponse response =
        only(read(interim + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    CHECK(response.status == 200);
    CHECK(response.body == "ok");
    CHECK(response.field("Link").empty());
    CHECK(read_to_end(interim).last == Result::malformed);
}

TEST_CASE("Responses that arrive together are returned one by one") {
    const Reading reading = read(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: 1\r\n\r\none"
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
        "HTTP/1.1 204 No Content\r\n\r\n"
        "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nfour"
        "HTTP/1.1 200 OK\r\n");
    REQUIRE(reading.responses.size() == 4);
    CHECK(reading.responses[0].body == "one");
    CHECK(reading.responses[1].status == 503);
    CHECK(reading.responses[1].body == "two");
    CHECK(reading.responses[1].field("X").empty());  // nothing is left of the one before
    CHECK(reading.responses[2].status == 204);
    CHECK(reading.responses[3].body == "four");
    CHECK(reading.last == Result::need_more);
}

TEST_CASE("A field is found in any letter case, and its value is trimmed") {
    const ReceivedResponse response = only(
        read(empty_response("Retry-After:  7\t\r\nX-Empty:\r\nDATE: today\r\nRetry-After: 8\r\n")));
    CHECK(response.field("Retry-After") == "7");
    CHECK(response.field("retry-after") == "7");
    CHECK(response.field("RETRY-AFTER") == "7");
    CHECK(response.field("date") == "today");
    CHECK(response.field("X-Empty").empty());
    CHECK(response.field("Retry").empty());
    CHECK(response.field("HTTP/1.1 200 OK").empty());
    CHECK(ReceivedResponse{}.field("Date").empty());
}

TEST_CASE("The version and the Connection field decide whether the connection stays open") {
    const auto kept = [](std::string_view version, std::string_view fields) {
        return only(read(empty_response(fields, version))).keep_alive;
    };
    CHECK(kept("HTTP/1.1", ""));
    CHECK(kept("HTTP/1.1", "Connection: keep-alive\r\n"));
    CHECK(kept("HTTP/1.1", "Connection: Upgrade\r\n"));
    CHECK(!kept("HTTP/1.1", "Connection: close\r\n"));
    CHECK(!kept("HTTP/1.1", "connection: CLOSE\r\n"));
    CHECK(!kept("HTTP/1.1", "Connection: Upgrade, close\r\n"));
    CHECK(!kept("HTTP/1.1", "Connection: close\r\nConnection: Upgrade\r\n"));
    CHECK(!kept("HTTP/1.0", ""));
    CHECK(!kept("HTTP/1.0", "Connection: Upgrade\r\n"));
    CHECK(kept("HTTP/1.0", "Connection: Keep-Alive\r\n"));
}

TEST_CASE("A response without a status line is malformed") {
    for (const char* line :
         {"", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 2x0 OK", "HTTP/1.1 099 Low",
          "HTTP/1.1 2000 OK", "HTTP/1.1 200OK", "HTTP/1.1  200 OK", "HTTP/1.x 200 OK",
          "HTTP/2 200 OK", "HTTP/2.0 200 OK", "http/1.1 200 OK", "ICY 200 OK", " HTTP/1.1 200 OK",
          "HTTP/1.1\t200 OK", "POST / HTTP/1.1", "SSH-2.0-OpenSSH_9.2"}) {
        CAPTURE(line);
        const Reading reading = read(std::string{line} + "\r\nContent-Length: 0\r\n\r\n");
        CHECK(reading.last == Result::malformed);
        CHECK(reading.responses.empty());
    }
}

TEST_CASE("A status line needs no reason phrase") {
    CHECK(only(read("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")).status == 200);
    CHECK(only(read("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")).status == 200);
    CHECK(only(read_to_end("HTTP/1.1 200\r\n\r\n")).status == 200);
}

TEST_CASE("An invalid Content-Length is malformed") {
    for (const char* fields :
         {"Content-Length:\r\n", "Content-Length: -1\r\n", "Content-Length: +1\r\n",
          "Content-Length: 1x\r\n", "Content-Length: 0x1\r\n", "Content-Length: 1 1\r\n",
          "Content-Length: 1, 2\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n",
          "Content-Length: x\r\nContent-Length: 1\r\n",
          "Content-Length: 99999999999999999999999999\r\n"}) {
        CAPTURE(fields);
        const Reading reading = read(std::string{"HTTP/1.1 200 OK\r\n"} + fields + "\r\na");
        CHECK(reading.last == Result::malformed);
        CHECK(reading.responses.empty());
    }
}

TEST_CASE("An invalid field line is malformed") {
    for (const char* line : {"no colon", ": no name", "a name: b", "Name : b", "Name: \x01"}) {
        CAPTURE(line);
        const Reading reading = read(empty_response(std::string{line} + "\r\n"));
        CHECK(reading.last == Result::malformed);
    }
}

TEST_CASE("A head over 64 KiB is malformed") {
    const std::string start = "HTTP/1.1 200 OK\r\nX: ";
    const std::string fits = start + std::string(64 * 1024 - start.size(), 'x');
    CHECK(read_in_pieces(fits, 1024, false).last == Result::need_more);
    CHECK(read_in_pieces(fits + "x", 1024, false).last == Result::malformed);
}

TEST_CASE("A response that the connection's end truncates is malformed") {
    for (const char* bytes : {
             "",
             "HTTP/1.1 200 OK\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
         }) {
        CAPTURE(bytes);
        const Reading reading = read_to_end(bytes);
        CHECK(reading.last == Result::malformed);
        CHECK(reading.responses.empty());
    }
    // The end between two responses is no response either.
    const Reading reading = read_to_end(empty_response(""));
    CHECK(reading.responses.size() == 1);
    CHECK(reading.last == Result::malformed);
}

TEST_CASE("A line may end without CR, and a folded field is one field") {
    const ReceivedResponse response =
        only(read("HTTP/1.1 200 OK\nX: a\r\n \t b\n\tc\nContent-Length: 2\n\r\nabHTTP"));
    CHECK(response.head == "HTTP/1.1 200 OK\r\nX: a b c\r\nContent-Length: 2\r\n");
    CHECK(response.field("x") == "a b c");
    CHECK(response.body == "ab");
    CHECK(only(read("HTTP/1.1 200 OK\nContent-Length: 2\n\nab")).body == "ab");
}

TEST_CASE("A fault names the byte of the stream and the reason") {
    const auto fault = [](const std::string& bytes) {
        ResponseParser parser;
        parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");  // 40 bytes
        CHECK(parser.next() == Result::response);
        parser.feed(bytes);
        CHECK(parser.next() == Result::malformed);
        return parser.fault();
    };
    CHECK(fault("HTTQ") == "byte 43: a status line begins with HTTP/1.");
    CHECK(fault("HTTP/1.1 OK\r\n\r\n") ==
          "byte 49: expected a version and a status of three digits, as in HTTP/1.1 200 OK");
    CHECK(fault("HTTP/1.1 200 OK\r\nno colon\r\n\r\n") == "byte 57: 'no colon' is not a field");
    CHECK(fault("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n") ==
          "byte 73: the Content-Length '1x' is invalid");
    CHECK(fault("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n") ==
          "byte 90: the chunked coding before it is invalid");
}
