#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/catch.hpp"
#include "stage05_backpressure/bounded_queue.hpp"

#if defined(UNFREEZE_HAVE_TBB)
#include <tbb/concurrent_queue.h>
#endif
#if defined(UNFREEZE_HAVE_MOODYCAMEL)
#include <concurrentqueue/blockingconcurrentqueue.h>
#endif

// What the queue costs beside those of libraries. Hidden: ask for "[.benchmark]".
using namespace unfreeze;

namespace {

using clock_type = std::chrono::steady_clock;

/// When an item was pushed; the epoch, which no clock says, ends the consumer that pops it.
using Item = clock_type::time_point;

constexpr std::size_t capacity = 100;

// One adapter each: push waits while there is no room, pop while there is no item.

struct Ours {
    static constexpr const char* name = "BoundedQueue";
    void push(Item item) { queue.push(std::move(item)); }
    bool try_push(Item item) { return queue.try_push(std::move(item)) == PushStatus::success; }
    Item pop() { return queue.pop().value(); }
    BoundedQueue<Item> queue{capacity};
};

#if defined(UNFREEZE_HAVE_TBB)
struct Tbb {
    static constexpr const char* name = "oneTBB, bounded";
    Tbb() { queue.set_capacity(capacity); }
    void push(Item item) { queue.push(item); }
    bool try_push(Item item) { return queue.try_push(item); }
    Item pop() {
        Item item;
        queue.pop(item);
        return item;
    }
    tbb::concurrent_bounded_queue<Item> queue;
};
#endif

#if defined(UNFREEZE_HAVE_MOODYCAMEL)
/// Keeps no order between producers and has no bound: what it does is less.
struct Moodycamel {
    static constexpr const char* name = "moodycamel, no bound";
    void push(Item item) { queue.enqueue(item); }
    bool try_push(Item item) { return queue.enqueue(item); }
    Item pop() {
        Item item;
        queue.wait_dequeue(item);
        return item;
    }
    moodycamel::BlockingConcurrentQueue<Item> queue;
};
#endif

/// Has so many threads do it, and waits for them.
template <typename Work>
void in_threads(int count, const Work& work) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
        threads.emplace_back([&work, i] { work(i); });
    }
}

constexpr int flood_items = 40'000;

/// Pushes and pops all items as fast as it goes, with so many threads on either side.
template <typename Queue>
void flood(int threads) {
    Queue queue;
    in_threads(2 * threads, [&](int i) {
        for (int n = 0; n < flood_items / threads; ++n) {
            if (i < threads) {
                queue.push(Item{});
            } else {
                queue.pop();
            }
        }
    });
}

template <typename Queue>
void benchmark_flood(int threads) {
    BENCHMARK(fmt::format("{0} to {0}: {1}", threads, Queue::name)) { flood<Queue>(threads); };
}

long context_switches() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

/// 2,000 items a second for 2 seconds to 16 consumers, of which nearly all sleep nearly always.
template <typename Queue>
void print_paced() {
    constexpr int consumers = 16;
    constexpr int items = 4'000;
    constexpr auto interval = std::chrono::microseconds{500};
    Queue queue;
    std::vector<std::vector<double>> microseconds(consumers);
    long switches = 0;
    in_threads(consumers + 1, [&](int i) {
        if (i < consumers) {
            for (Item item = queue.pop(); item != Item{}; item = queue.pop()) {
                microseconds[static_cast<std::size_t>(i)].push_back(
                    std::chrono::duration<double, std::micro>{clock_type::now() - item}.count());
            }
            return;
        }
        // Once they are asleep, or nearly: what is counted is what the items cost.
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
        const long before = context_switches();
        int refused = 0;
        for (auto [n, next] = std::pair{0, clock_type::now()}; n < items; ++n, next += interval) {
            std::this_thread::sleep_until(next);
            refused += queue.try_push(clock_type::now()) ? 0 : 1;
        }
        switches = context_switches() - before;
        for (int n = 0; n < consumers; ++n) {
            queue.push(Item{});
        }
        CHECK(refused == 0);
    });
    std::vector<double> all;
    for (const std::vector<double>& one : microseconds) {
        all.insert(all.end(), one.begin(), one.end());
    }
    REQUIRE(all.size() == items);
    std::sort(all.begin(), all.end());
    // The producer's own sleep is one of them, whatever the queue.
    fmt::print("{:<20} {:>8.1f} {:>8.1f} {:>18.2f}\n", Queue::name, all[items / 2],
               all[items * 99 / 100], static_cast<double>(switches) / items);
}

/// Calls measure<Queue>() for each queue that there is.
template <typename Measure>
void for_each_queue(const Measure& measure) {
    measure.template operator()<Ours>();
#if defined(UNFREEZE_HAVE_TBB)
    measure.template operator()<Tbb>();
#endif
#if defined(UNFREEZE_HAVE_MOODYCAMEL)
    measure.template operator()<Moodycamel>();
#endif
}

}  // namespace

TEST_CASE("Flood: 40,000 items as fast as they go through", "[.benchmark]") {
    for (const int threads : {1, 4}) {
        for_each_queue([threads]<typename Queue>() { benchmark_flood<Queue>(threads); });
    }
}

TEST_CASE("Paced: 2,000 items a second to 16 idle consumers", "[.benchmark]") {
    fmt::print("{:<20} {:>8} {:>8} {:>18}\n", "", "p50 us", "p99 us", "switches per item");
    for_each_queue([]<typename Queue>() { print_paced<Queue>(); });
}
