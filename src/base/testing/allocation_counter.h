// Counts what a test's code allocates, in every thread, and makes allocations fail. Linking
// fathom_allocation_counter replaces the global operator new and delete of that binary.
#pragma once

#include <cstddef>
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

// From the calling thread's allocation number `good` + 1 on, all of its allocations fail with
// std::bad_alloc until the end of this; those below `at_least` bytes neither fail nor count. One a
// thread at a time.
class AllocationFailure {
 public:
  explicit AllocationFailure(int64_t good, size_t at_least = 0);
  ~AllocationFailure();
  AllocationFailure(const AllocationFailure&) = delete;
  AllocationFailure& operator=(const AllocationFailure&) = delete;

  // Whether one has failed.
  bool happened() const;
};

}  // namespace fathom
