#include "backends/emulated/fibre.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace fathom::emulated {

Stacks::Stacks(int count) : bytes_(static_cast<size_t>(count) * kBytes) {
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<std::byte*>(memory);
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < count; ++i) {
    mprotect(memory_ + static_cast<size_t>(i) * kBytes, page, PROT_NONE);
  }
}

Stacks::~Stacks() {
  munmap(memory_, bytes_);
}

void* Stacks::top(int index) const {
  constexpr int kColours = 61;
  constexpr size_t kLine = 64;
  return memory_ + static_cast<size_t>(index + 1) * kBytes -
         static_cast<size_t>(index % kColours) * kLine;
}

}  // namespace fathom::emulated
