// Counts what a test's code allocates, in every thread. Linking fathom_allocation_counter replaces
// the global operator new and delete of that binary.
#pragma once

#include <cstdint>

namespace fathom {

// Counts from now until stop() or its end. One at a time.
class AllocationCounter {
 public:
  AllocationCounter();
  ~AllocationCounter();
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;

  // Allocations since the constructor; none are counted from here on.
  int64_t stop();
};

}  // namespace fathom
