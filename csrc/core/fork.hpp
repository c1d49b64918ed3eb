// What to do around fork(), on systems that have it.
#pragma once

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace vecpress {

// Calls `before` in the parent before it forks, `parent` and `child` in each afterwards. Any of them may be null.
inline void at_fork(void (*before)(), void (*parent)(), void (*child)()) {
#if defined(_WIN32)
  static_cast<void>(before), static_cast<void>(parent), static_cast<void>(child);  // a process cannot be copied
#else
  pthread_atfork(before, parent, child);
#endif
}

}  // namespace vecpress
