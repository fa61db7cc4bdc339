#include "models/files/mapped_pages.h"

#include <sys/mman.h>

#include <cstdint>

namespace fathom::models {

void drop_pages(const void* data, size_t bytes) {
  constexpr uintptr_t kPageBytes = 4096;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data) & ~(kPageBytes - 1);
  const uintptr_t end = reinterpret_cast<uintptr_t>(data) + bytes;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace fathom::models
