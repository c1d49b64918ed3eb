// The thread pool: blocking (idle threads sleep, never spin), shared by all callers, usable after fork().
#pragma once

#include <cstdint>
#include <functional>

#include "core/control.hpp"

namespace vecpress {

// The processors this process may run on (vecpress/dispatch.py asks VECPRESS_NUM_THREADS first).
int default_threads();

// Calls task(0) ... task(count - 1), on the calling thread and up to threads - 1 others; returns when all have ended. When
// control.stop() turns true or a task throws, tasks that have not begun are skipped; the first exception is thrown again here.
// Several threads may call at once.
void parallel(int64_t count, int threads, Control& control, const std::function<void(int64_t)>& task);

// Rows [begin, end) in pieces of `grain` rows, in parallel.
void parallel_rows(int64_t n, int64_t grain, int threads, Control& control,
                   const std::function<void(int64_t, int64_t)>& task);

}  // namespace vecpress
