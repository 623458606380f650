#include "stage06_workers/io_threads.hpp"

#include <atomic>
#include <set>
#include <thread>

#include "common/catch.hpp"

using namespace unfreeze;

TEST_CASE("Connections are handed round, and each context keeps its own thread") {
    IoThreads io{3};
    CHECK(&io.next() == &io.first());
    asio::io_context& second = io.next();
    asio::io_context& third = io.next();
    CHECK(&second != &io.first());
    CHECK(&third != &io.first());
    CHECK(&third != &second);
    CHECK(&io.next() == &io.first());

    std::array<std::thread::id, 3> ran_on;
    std::atomic<int> ran = 0;
    const auto note = [&](asio::io_context& context, std::size_t i) {
        asio::post(context, [&, i] {
            ran_on.at(i) = std::this_thread::get_id();
            if (++ran == 3) {
                io.stop();
            }
        });
    };
    note(io.first(), 0);
    note(second, 1);
    note(third, 2);
    io.run();  // comes back once stopped, the others joined
    CHECK(ran_on[0] == std::this_thread::get_id());
    CHECK(std::set(ran_on.begin(), ran_on.end()).size() == 3);
}

TEST_CASE("One thread serves alone") {
    IoThreads io{1};
    CHECK(&io.next() == &io.first());
    CHECK(&io.next() == &io.first());
    bool ran = false;
    asio::post(io.first(), [&] {
        ran = true;
        io.stop();
    });
    io.run();
    CHECK(ran);
}
