#include "backends/cpu/host/pages.h"

#include <sys/mman.h>

#include <cstdlib>
#include <limits>

namespace fathom::cpu {

void* allocate_pages(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  if (bytes > std::numeric_limits<size_t>::max() - alignment) return nullptr;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  // Only advice: without huge pages it is slower, not wrong.
  if (memory != nullptr && bytes >= kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

}  // namespace fathom::cpu
