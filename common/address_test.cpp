#include "common/address.hpp"

#include <fmt/format.h>

#include "clients/probe/black_box.hpp"
#include "clients/probe/connection.hpp"
#include "common/net/io.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

bool has_ipv6() {
    asio::io_context io;
    Acceptor acceptor{io};
    asio::error_code error;
    acceptor.open(tcp::v6(), error);
    if (!error) {
        acceptor.bind({asio::ip::address_v6::loopback(), 0}, error);
    }
    return !error;
}

}  // namespace

TEST_CASE("A host is an address in its usual form, or a name") {
    for (const char* const host :
         {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1",
          "fe80::1%eth0", "localhost", "my-host", "my_host.example.", "10-0-0-1.example"}) {
        INFO(host);
        CHECK(is_host(host));
    }
    for (const char* const host :
         {"",           " ",           "127.0.0.1 ", " 127.0.0.1",   "127.0.0.1\n",
          "0",          "1",           "127.1",      "127.0.1",      "010.0.0.1",
          "127.0.0.01", "0x7f.0.0.1",  "0x7f000001", "2130706433",   "[::1]",
          "::1]",       "::1:",        "1::2::3",    "127.0.0.1:80", "http://localhost",
          "a b",        "h\xc3\xb6st", "*"}) {
        INFO(host);
        CHECK(!is_host(host));
    }
}

TEST_CASE("A server rejects an invalid --host, and resolves a name") {
    const std::string server = program("stage01_blocking");
    for (const char* const host : {"", " ", "0", "010.0.0.1", "2130706433", "[::1]", "a b"}) {
        CHECK(output_of({server, "--port 0", {"--host", host}}) ==
              fmt::format("stage01_blocking: --host: expected an address, got '{}' (see --help)\n"
                          "exit 2\n",
                          host));
    }
    ServerProcess named{server_command("stage01_blocking", "--host localhost")};
    CHECK(probe(named.target(), 5s));
}

TEST_CASE("host_and_port puts brackets around an IPv6 address only") {
    CHECK(host_and_port("127.0.0.1", 80) == "127.0.0.1:80");
    CHECK(host_and_port("localhost", 80) == "localhost:80");
    CHECK(host_and_port("::1", 80) == "[::1]:80");
    for (const char* const text : {"127.0.0.1:80", "[::1]:80", "[fe80::1]:65535"}) {
        const auto target = parse_target(text);
        REQUIRE(target);
        CHECK(target->name() == text);
    }
    CHECK(parse_target("localhost:80").value().name() == "127.0.0.1:80");
    CHECK(parse_target("[::1]:80").value().host == "::1");
    for (const char* const text : {"",
                                   ":",
                                   ":80",
                                   "::1:80",
                                   "::1",
                                   "[::1]",
                                   "[::1]:",
                                   "[::1]80",
                                   "[::1]:0",
                                   "[::1]:65536",
                                   "[::1:80",
                                   "::1]:80",
                                   "[[::1]]:80",
                                   "[]:80",
                                   "[:80",
                                   "]:80",
                                   "[127.0.0.1]:80",
                                   "[localhost]:80",
                                   "127.0.0.1",
                                   "127.1:80",
                                   "127.0.0.1:"}) {
        INFO(text);
        CHECK(!parse_target(text));
    }
}

TEST_CASE("Servers and clients work over IPv6") {
    if (!has_ipv6()) {
        WARN("left out: this machine has no IPv6");
        return;
    }
    const std::string name = GENERATE("stage02_async", "stage10_shutdown");
    ServerProcess server{server_command(name, "--host ::1")};
    const std::string where = server.target().name();
    CHECK(server.process().output() == fmt::format("listening on {}\n", where));
    CHECK(where == fmt::format("[::1]:{}", server.target().port));
    CHECK(probe(server.target(), 5s));
    CHECK(output_of({program(name), fmt::format("--host ::1 --port {}", server.target().port)}) ==
          fmt::format("{}: {} is in use: end the server that has it, or choose another --port\n"
                      "exit 2\n",
                      name, where));

    const std::string client = program("freeze");
    const std::string told = fmt::format("2 netcats have connected to {} and say nothing\n", where);
    const std::string by_name = output_of({client, "--clients 2", {"--server", where}});
    CHECK(by_name.find(told) != by_name.npos);
    CHECK(by_name.ends_with("\nexit 0\n"));
    const std::string spawned =
        output_of({client,
                   "--clients 2",
                   {"--spawn", fmt::format("{} --host ::1 --port 0", shell_word(program(name)))}});
    CHECK(spawned.find("2 netcats have connected to [::1]:") != spawned.npos);
    CHECK(spawned.ends_with("\nexit 0\n"));
}
