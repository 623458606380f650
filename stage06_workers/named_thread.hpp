#pragma once

#include <fmt/format.h>
#include <pthread.h>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace unfreeze {

/// Starts a thread with a name that `top -H` and debuggers show; the kernel keeps 15 bytes of it.
/// Throws std::system_error if the machine has no thread left.
template <typename Body>
std::jthread start_thread(std::string name, Body body) {
    try {
        return std::jthread{[name, body = std::move(body)] {
            pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
            body();
        }};
    } catch (const std::system_error& error) {
        throw std::system_error{error.code(), fmt::format("can't start thread '{}'", name)};
    }
}

}  // namespace unfreeze
