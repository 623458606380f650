#pragma once

// The build includes this file first under ThreadSanitizer. libstdc++ 12 locks a std::timed_mutex
// with pthread_mutex_clocklock, which its ThreadSanitizer does not know, so it reports races that
// do not exist. Later versions need no workaround.
#include <version>

#undef _GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK
