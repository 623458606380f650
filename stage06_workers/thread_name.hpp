#pragma once

#include <pthread.h>

#include <string>

namespace unfreeze {

/// Names the calling thread, as `top -H` and debuggers show it. The kernel keeps 15 bytes.
inline void name_this_thread(const std::string& name) {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

}  // namespace unfreeze
