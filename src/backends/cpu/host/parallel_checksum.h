// The contract's checksum of a range by all threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/host/thread_pool.h"

namespace fathom::cpu {

uint64_t parallel_checksum(ThreadPool& pool, const void* from, size_t bytes);

}  // namespace fathom::cpu
