// What hwloc says of this host, and what only it and the system can do: pinning and placing.
#pragma once

#include <cstddef>
#include <vector>

#include "backends/cpu/host/placement.h"

namespace fathom::cpu {

// Of this host, or of the one that hwloc's variable HWLOC_SYNTHETIC describes; without cores where
// hwloc fails. `synthetic`: such a description, in place of both.
HostTopology read_topology(const char* synthetic = nullptr);

// The calling thread runs on that processor only. Advice: what the system refuses is left.
void pin_this_thread(int processor);

// Pages of fresh memory come from these nodes in turn. Advice too.
void interleave_memory(void* memory, size_t bytes, const std::vector<int>& nodes);

}  // namespace fathom::cpu
