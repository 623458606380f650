#include "common/net/listener.hpp"

#include "common/catch.hpp"

using namespace unfreeze;

TEST_CASE("What is accepted sends at once, without Nagle's algorithm") {
    asio::io_context io;
    Listener listener{io, {.port = 0}};
    Socket client{io};
    client.connect({asio::ip::make_address("127.0.0.1"), listener.port()});
    const Socket accepted = listener.accept();
    tcp::no_delay no_delay;
    accepted.get_option(no_delay);
    CHECK(no_delay.value());
}
