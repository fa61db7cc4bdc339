// Mistakes planted on purpose, to see that a test notices them, and the places they can be planted
// at.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "backends/emulated/site.h"

namespace fathom::emulated {

// From now on no thread waits at the barrier, or for the copies, of this line; 0: all wait.
// `file` is a name without folders.
void drop_barrier(const std::string& file, int line);

// Where threads waited so far, "rms_norm.cpp:41", each place once.
std::vector<std::string> barriers_seen();

namespace faults {
inline std::atomic<int> dropped_line = 0;
bool is_dropped_file(const char* file);
}  // namespace faults

inline bool is_dropped(const Site& site) {
  return site.line == faults::dropped_line.load(std::memory_order_relaxed) &&
         faults::is_dropped_file(site.file);
}

void note_barrier(const Site& site);

}  // namespace fathom::emulated
