#pragma once

#include <fmt/format.h>
#include <pthread.h>

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "common/log.hpp"

namespace unfreeze {

/// Starts a thread that goes by a name, of which the kernel keeps 15 bytes, in `top -H` and in
/// debuggers. Exits with 2 and a sentence where the machine has no room for another thread.
template <typename Body>
std::jthread start_thread(std::string name, Body body) {
    try {
        return std::jthread{[name, body = std::move(body)] {
            pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
            body();
        }};
    } catch (const std::system_error& error) {
        fail(fmt::format("can't start thread '{}': {}", name, error.code().message()));
    }
}

}  // namespace unfreeze
