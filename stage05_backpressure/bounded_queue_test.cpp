#include "stage05_backpressure/bounded_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clients/probe/black_box.hpp"
#include "common/catch.hpp"
#include "common/source_tree.hpp"
#include "stage05_backpressure/model_check/queue_programs.hpp"

using namespace unfreeze;
using namespace std::chrono_literals;

namespace {

/// Far longer than any of these tests takes, with sanitizers and on a busy machine.
constexpr auto patience = 20s;

/// The result of a thread. If it does not return in time, the test aborts, because it can't be
/// joined.
template <typename T>
T result_of(std::future<T>& thread) {
    if (thread.wait_for(patience) != std::future_status::ready) {
        std::fputs("a thread does not return\n", stderr);
        std::abort();
    }
    return thread.get();
}

/// The remaining items of a closed queue.
std::vector<int> rest_of(BoundedQueue<int>& queue) {
    std::vector<int> items;
    while (const auto item = queue.pop()) {
        items.push_back(*item);
    }
    return items;
}

/// Pops until the end, on another thread.
std::future<std::vector<int>> popper(BoundedQueue<int>& queue) {
    return std::async(std::launch::async, [&queue] { return rest_of(queue); });
}

}  // namespace

TEST_CASE("Items are popped in the order in which they were pushed") {
    BoundedQueue<int> queue{3};
    CHECK(queue.push(1) == PushStatus::success);
    CHECK(queue.try_push(2) == PushStatus::success);
    CHECK(queue.push(3) == PushStatus::success);
    CHECK(queue.pop() == 1);
    CHECK(queue.pop() == 2);
    CHECK(queue.pop() == 3);
}

TEST_CASE("The order holds at every position of the ring") {
    BoundedQueue<int> queue{3};
    int pushed = 0;
    int popped = 0;
    for (int round = 0; round < 10; ++round) {
        while (queue.size() < 3) {
            ++pushed;
            REQUIRE(queue.try_push(int{pushed}) == PushStatus::success);
        }
        REQUIRE(queue.pop() == ++popped);
        REQUIRE(queue.pop() == ++popped);
    }
}

TEST_CASE("A queue holds as many items as its capacity, and reports its size") {
    BoundedQueue<int> queue{2};
    CHECK(queue.capacity() == 2);
    CHECK(queue.size() == 0);
    CHECK(queue.try_push(1) == PushStatus::success);
    CHECK(queue.size() == 1);
    CHECK(queue.try_push(2) == PushStatus::success);
    CHECK(queue.try_push(3) == PushStatus::full);
    CHECK(queue.size() == 2);
    CHECK(queue.pop() == 1);
    CHECK(queue.try_push(4) == PushStatus::success);
    CHECK(queue.capacity() == 2);
    queue.close();
    CHECK(rest_of(queue) == std::vector{2, 4});
    CHECK(queue.size() == 0);
}

TEST_CASE("A queue with known poppers has no extra capacity while none of them waits") {
    BoundedQueue<int> queue{2, 1};
    CHECK(queue.capacity() == 2);
    CHECK(queue.try_push(1) == PushStatus::success);
    CHECK(queue.try_push(2) == PushStatus::success);
    CHECK(queue.try_push(3) ==
          PushStatus::full);  // no popper waits; the explorer tests waiting poppers
    CHECK(queue.pop() == 1);
    CHECK(queue.try_push(4) == PushStatus::success);
    CHECK(queue.try_push(5) == PushStatus::full);
}

TEST_CASE("A closed queue refuses pushes, and is drained before pop returns nullopt") {
    BoundedQueue<int> queue{2};
    CHECK(queue.push(1) == PushStatus::success);
    CHECK(queue.push(2) == PushStatus::success);
    queue.close();
    // It is also full, but a push does not wait for capacity.
    CHECK(queue.try_push(3) == PushStatus::closed);
    CHECK(queue.push(3) == PushStatus::closed);
    CHECK(queue.pop() == 1);
    CHECK(queue.try_push(3) == PushStatus::closed);
    CHECK(queue.push(3) == PushStatus::closed);
    CHECK(queue.pop() == 2);
    CHECK(queue.pop() == std::nullopt);
    CHECK(queue.pop() == std::nullopt);
}

TEST_CASE("Closing twice has no further effect") {
    BoundedQueue<int> queue{2};
    CHECK(queue.push(1) == PushStatus::success);
    queue.close();
    queue.close();
    CHECK(queue.try_push(2) == PushStatus::closed);
    CHECK(queue.pop() == 1);
    queue.close();
    CHECK(queue.pop() == std::nullopt);
}

TEST_CASE("Items need not be copyable, and a refused item is not moved from") {
    BoundedQueue<std::unique_ptr<int>> queue{1};
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    CHECK(queue.try_push(std::move(first)) == PushStatus::success);
    CHECK(first == nullptr);
    CHECK(queue.try_push(std::move(second)) == PushStatus::full);
    REQUIRE(second != nullptr);
    queue.close();
    CHECK(queue.try_push(std::move(second)) == PushStatus::closed);
    REQUIRE(second != nullptr);
    CHECK(queue.push(std::move(second)) == PushStatus::closed);
    REQUIRE(second != nullptr);
    CHECK(*second == 2);  // NOLINT(bugprone-use-after-move): it was refused

    const auto popped = queue.pop();
    REQUIRE(popped.has_value());
    REQUIRE(*popped != nullptr);
    CHECK(**popped == 1);
    CHECK(!queue.pop().has_value());
}

TEST_CASE("The queue keeps nothing of a popped item") {
    BoundedQueue<std::shared_ptr<int>> queue{2};
    const auto item = std::make_shared<int>(1);
    CHECK(queue.push(std::shared_ptr{item}) == PushStatus::success);
    CHECK(item.use_count() == 2);
    CHECK(queue.pop() == item);
    CHECK(item.use_count() == 1);
}

TEST_CASE("Every item that several threads push is popped once, in its pusher's order") {
    constexpr int pushers = 3;
    constexpr int items = 10'000;  // from each
    const std::size_t capacity = GENERATE(1u, 7u, 100u);
    BoundedQueue<int> queue{capacity};
    std::vector<std::future<std::vector<int>>> popping;
    for (int popper_number = 0; popper_number < 3; ++popper_number) {
        popping.push_back(popper(queue));
    }
    std::vector<std::future<int>> pushing;
    for (int pusher = 0; pusher < pushers; ++pusher) {
        pushing.push_back(std::async(std::launch::async, [&queue, pusher] {
            int refused = 0;
            for (int i = 0; i < items; ++i) {
                refused += queue.push(pusher * items + i) == PushStatus::success ? 0 : 1;
            }
            return refused;
        }));
    }
    for (auto& thread : pushing) {
        CHECK(result_of(thread) == 0);
    }
    queue.close();

    std::vector<int> all;
    for (auto& thread : popping) {
        const std::vector<int> popped = result_of(thread);
        all.insert(all.end(), popped.begin(), popped.end());
        std::vector<int> last(pushers, -1);
        bool in_order = true;
        for (const int item : popped) {
            int& before = last[static_cast<std::size_t>(item / items)];
            in_order = in_order && before < item;
            before = item;
        }
        CHECK(in_order);
    }
    std::sort(all.begin(), all.end());
    std::vector<int> expected(pushers * items);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK((all == expected));
    CHECK(queue.size() == 0);
}

TEST_CASE("All items that a closing queue has accepted are popped, and no others") {
    for (int round = 0; round < 200; ++round) {
        BoundedQueue<int> queue{2};
        auto pop = popper(queue);
        auto push = std::async(std::launch::async, [&queue] {
            int accepted = 0;
            while (queue.push(accepted + 1) == PushStatus::success) {
                ++accepted;
            }
            return accepted;
        });
        queue.close();
        const int accepted = result_of(push);
        const std::vector<int> popped = result_of(pop);
        REQUIRE(popped.size() == static_cast<std::size_t>(accepted));
        REQUIRE((popped.empty() || popped.back() == accepted));
    }
}

TEST_CASE("Closing an empty queue releases all poppers") {
    BoundedQueue<int> queue{1};
    std::vector<std::future<std::vector<int>>> popping;
    for (int i = 0; i < 4; ++i) {
        popping.push_back(popper(queue));
    }
    queue.close();  // before or after they wait; the explorer tries all orders
    for (auto& thread : popping) {
        CHECK(result_of(thread).empty());
    }
}

TEST_CASE("Closing a full queue releases all pushers") {
    BoundedQueue<int> queue{1};
    CHECK(queue.push(1) == PushStatus::success);
    std::vector<std::future<PushStatus>> pushing;
    for (int i = 0; i < 4; ++i) {
        pushing.push_back(std::async(std::launch::async, [&queue] { return queue.push(2); }));
    }
    queue.close();
    for (auto& thread : pushing) {
        CHECK(result_of(thread) == PushStatus::closed);
    }
    CHECK(rest_of(queue) == std::vector{1});
}

TEST_CASE("The explorer finds no fault in the queue, in any order of its threads") {
    std::size_t schedules = 0;
    for (const QueueProgram& program : queue_programs()) {
        const Exploration found = explore(program);
        INFO(program.name << ", after " << found.schedules << " schedules");
        CAPTURE(found.steps);
        CHECK(found.fault == "");
        schedules += found.schedules;
    }
    CHECK(schedules >= 25'000);  // the search was not empty
}

TEST_CASE("The explorer finds each of the known mistakes") {
    if (sanitized) {
        return;  // the programs are not built
    }
    const auto mistakes =
        entries_of(source_tree / "stage05_backpressure" / "model_check" / "mistakes",
                   [](const std::filesystem::path& file) { return file.extension() == ".patch"; });
    CHECK(mistakes.size() >= 8);
    for (const std::filesystem::path& mistake : mistakes) {
        std::string name = "queue_mistake_" + mistake.stem().string();
        std::replace(name.begin(), name.end(), '-', '_');
        const std::string output = output_of({program(name), ""});
        INFO(name << " printed:\n" << output);
        CHECK(output.find(": FAULT after ") != std::string::npos);
        CHECK(output.ends_with("\nexit 1\n"));
    }
}
