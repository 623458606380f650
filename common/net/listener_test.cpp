#include "common/net/listener.hpp"

#include <fmt/format.h>

#include "common/catch.hpp"

using namespace unfreeze;

TEST_CASE("An accepted connection has Nagle's algorithm off") {
    asio::io_context io;
    Listener listener{io, {.port = 0}};
    Socket client{io};
    client.connect({asio::ip::make_address("127.0.0.1"), listener.port()});
    const Socket accepted = listener.accept();
    tcp::no_delay no_delay;
    accepted.get_option(no_delay);
    CHECK(no_delay.value());
}

TEST_CASE("A second listener on the same address throws a sentence for the user") {
    asio::io_context io;
    const Listener first{io, {.port = 0}};
    CHECK_THROWS_WITH(
        (Listener{io, {.port = first.port()}}),
        fmt::format("127.0.0.1:{} is in use: end the server that has it, or choose another --port",
                    first.port()));
}
