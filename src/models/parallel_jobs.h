// Numbered jobs on several threads, for loading and converting.
#pragma once

#include <cstddef>
#include <functional>

#include "base/result.h"

namespace fathom::models {

// Threads to use for `wanted`; 0 stands for one a core.
int thread_count(int wanted);

// Runs job(0) ... job(count - 1) on `threads` threads and waits. After a failure no further job
// starts; of several failures the first by number is returned, whichever came first. `idle` is
// called now and then on the calling thread while it waits, and once at the end.
Status run_jobs(size_t count, int threads, const std::function<Status(size_t)>& job,
                const std::function<void()>& idle);

}  // namespace fathom::models
