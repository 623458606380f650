// Compares the speed of BoundedQueue with the queues of two libraries.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/command_line.hpp"
#include "common/csv.hpp"
#include "stage05_backpressure/bounded_queue.hpp"

#if defined(UNFREEZE_HAVE_TBB)
#include <tbb/concurrent_queue.h>
#endif
#if defined(UNFREEZE_HAVE_MOODYCAMEL)
#include <concurrentqueue/blockingconcurrentqueue.h>
#endif

namespace {

using namespace unfreeze;

using clock_type = std::chrono::steady_clock;

/// The time at which an item was pushed. The epoch, which no clock shows, ends its consumer.
using Item = clock_type::time_point;

constexpr std::size_t capacity = 100;

// One adapter for each queue. push() waits while the queue is full, pop() while it is empty.

struct Ours {
    static constexpr const char* name = "BoundedQueue";
    void push(Item item) { static_cast<void>(queue.push(std::move(item))); }
    bool try_push(Item item) { return queue.try_push(std::move(item)) == PushStatus::success; }
    Item pop() { return queue.pop().value(); }
    BoundedQueue<Item> queue{capacity};
};

#if defined(UNFREEZE_HAVE_TBB)
struct Tbb {
    static constexpr const char* name = "bounded oneTBB";
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
/// Keeps no order between producers and has no bound, so it does less.
struct Moodycamel {
    static constexpr const char* name = "unbounded moodycamel";
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

/// Runs the work in `count` threads, and joins them.
template <typename Work>
void in_threads(int count, const Work& work) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
        threads.emplace_back([&work, i] { work(i); });
    }
}

constexpr int flood_items = 40'000;

/// Pushes and pops all items as fast as possible, with `threads` producers and as many consumers.
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

/// Milliseconds per flood, with the start of its threads: the mean of ten.
template <typename Queue>
double measure_flood(int threads) {
    constexpr int floods = 10;
    const auto started = clock_type::now();
    for (int i = 0; i < floods; ++i) {
        flood<Queue>(threads);
    }
    return std::chrono::duration<double, std::milli>{clock_type::now() - started}.count() / floods;
}

long context_switches() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

/// The figures of a queue in one round.
struct Figures {
    double p50_us = 0;  // from push to pop, paced
    double p99_us = 0;
    double switches = 0;   // context switches per item
    double ms_1_to_1 = 0;  // duration of a flood
    double ms_4_to_4 = 0;
};

/// 2,000 items a second for 2 seconds to 16 consumers, nearly all of which sleep.
template <typename Queue>
Figures measure_paced() {
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
        // The consumers fall asleep first, so that only the cost of the items counts.
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
        const long before = context_switches();
        for (auto [n, next] = std::pair{0, clock_type::now()}; n < items; ++n, next += interval) {
            std::this_thread::sleep_until(next);
            const Item item = clock_type::now();
            if (!queue.try_push(item)) {
                queue.push(item);  // the queue is full because the machine has stalled
            }
        }
        switches = context_switches() - before;
        for (int n = 0; n < consumers; ++n) {
            queue.push(Item{});
        }
    });
    std::vector<double> all;
    for (const std::vector<double>& one : microseconds) {
        all.insert(all.end(), one.begin(), one.end());
    }
    assert(all.size() == items);
    std::sort(all.begin(), all.end());
    // One of the switches is the producer's sleep, for every queue.
    return {.p50_us = all[items / 2],
            .p99_us = all[items * 99 / 100],
            .switches = static_cast<double>(switches) / items};
}

/// Calls measure<Queue>() for each installed queue.
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

double median(const std::vector<Figures>& rounds, double Figures::*figure) {
    std::vector<double> values;
    for (const Figures& round : rounds) {
        values.push_back(round.*figure);
    }
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    std::string file = "/dev/null";
    std::size_t rounds = 7;
    CommandLine command_line{"Compares the speed of BoundedQueue with the queues of libraries."};
    command_line.add("--csv", file, "file for the rows");
    command_line.add("--rounds", rounds, 1, 100, "of measurements, whose median counts");
    command_line.parse(argc, argv);
    std::FILE* const csv = open_csv(file);

    struct Queue {
        const char* name;
        std::function<Figures()> measure;
        std::vector<Figures> rounds = {};
    };
    std::vector<Queue> queues;
    for_each_queue([&]<typename Q>() {
        queues.push_back({Q::name, [] {
                              Figures figures = measure_paced<Q>();
                              figures.ms_1_to_1 = measure_flood<Q>(1);
                              figures.ms_4_to_4 = measure_flood<Q>(4);
                              return figures;
                          }});
    });
    // Each round measures all queues, so that other activity on the machine affects all alike.
    for (std::size_t round = 0; round < rounds; ++round) {
        for (Queue& queue : queues) {
            queue.rounds.push_back(queue.measure());
        }
    }
    fmt::print(
        "                           push to pop, paced                                a flood\n");
    fmt::print(
        "queue                        p50         p99   switches an item   one to one   four to "
        "four\n");
    fmt::print(csv, "queue,p50_us,p99_us,switches_an_item,flood_1_to_1_ms,flood_4_to_4_ms\n");
    for (const auto& [name, measure, all] : queues) {
        const double p50 = median(all, &Figures::p50_us);
        const double p99 = median(all, &Figures::p99_us);
        const double switches = median(all, &Figures::switches);
        const double one = median(all, &Figures::ms_1_to_1);
        const double four = median(all, &Figures::ms_4_to_4);
        fmt::print("{:<20} {:>8.1f} us {:>8.1f} us   {:>16.1f}   {:>7.1f} ms   {:>9.1f} ms\n", name,
                   p50, p99, switches, one, four);
        fmt::print(csv, "{},{:.1f},{:.1f},{:.1f},{:.1f},{:.1f}\n", name, p50, p99, switches, one,
                   four);
    }
    close_csv(csv, file);
    finish_output();
}
