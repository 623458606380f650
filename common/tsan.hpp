#pragma once

// Included before all else under ThreadSanitizer. libstdc++ 12 waits for a std::timed_mutex by a
// function that its ThreadSanitizer does not know, so that it sees races where there are none.
// Later versions see to that themselves.
#include <version>

#undef _GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK
