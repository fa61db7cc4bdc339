// Which processor each thread of a pool is pinned to, and which memory is near them: arithmetic
// over a topology, so that machines we do not have are planned for in tests.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace fathom::cpu {

struct Core {
  std::vector<int> processors;  // its hardware threads, as the system numbers them
  int node = 0;                 // NUMA node of its memory
};

// The part of the host that this process may use: cgroup and affinity are taken off.
struct HostTopology {
  std::vector<Core> cores;  // neighbours in caches and nodes stand together
  int nodes = 1;            // of the host
  bool bound = false;       // whoever started this process left it less than the host's cgroup has
};

// Processes on this host that share its cores, of which this is one. index < 0: not known.
struct HostShare {
  int index = 0;
  int count = 1;
};

struct Placement {
  std::vector<int> processors;  // one a thread; empty: threads go where the system puts them
  std::vector<int> nodes;       // of those processors, rising
  size_t cores = 0;             // that they are of
  bool several_nodes = false;   // the host has, so where memory is matters

  // " on 8 cores of 2 nodes"; "" where nothing is pinned.
  std::string text() const;
};

// One thread a core first, then the cores' further hardware threads. Several processes take
// neighbouring cores each. Nothing is pinned where that could put two on one processor while others
// are idle: with fewer threads than cores (another process may do the same), more threads than
// processors, or several processes that were bound by their launcher already.
Placement place_threads(const HostTopology& host, int threads, const HostShare& share);

}  // namespace fathom::cpu
