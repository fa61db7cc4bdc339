#include "backends/emulated/device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <new>

namespace fathom::emulated {
namespace {

constexpr size_t kAddresses = size_t{1} << 38;  // reserved, twice

size_t in_pages(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

uintptr_t reserve() {
  void* at =
      mmap(nullptr, kAddresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? 0 : reinterpret_cast<uintptr_t>(at);
}

}  // namespace

DeviceMemory::DeviceMemory() : addresses_(reserve()) {
  const uintptr_t behind = reserve();
  distance_ = behind - addresses_;
  if (addresses_ != 0 && behind != 0) return;
  for (const uintptr_t reserved : {addresses_, behind}) {
    if (reserved != 0) munmap(reinterpret_cast<void*>(reserved), kAddresses);
  }
  throw std::bad_alloc();
}

DeviceMemory::~DeviceMemory() {
  munmap(reinterpret_cast<void*>(addresses_), kAddresses);
  munmap(reinterpret_cast<void*>(addresses_ + distance_), kAddresses);
}

void* DeviceMemory::allocate(size_t bytes) {
  bytes = std::max<size_t>(bytes, 1);
  if (bytes > kAddresses) return nullptr;
  const size_t pages = in_pages(bytes);
  const std::unique_lock lock(mutex_);
  // A page between allocations is never there.
  const size_t room = kAddresses - used_;
  const size_t gap = in_pages(1);
  if (pages + gap > room) return nullptr;
  const uintptr_t address = addresses_ + used_;
  void* memory = behind(reinterpret_cast<void*>(address));
  if (mprotect(memory, pages, PROT_READ | PROT_WRITE) != 0) return nullptr;
  used_ += pages + gap;
  std::fill_n(static_cast<uint32_t*>(memory), pages / sizeof(kPoison), kPoison);
  ends_[address] = address + bytes;
  return reinterpret_cast<void*>(address);
}

bool DeviceMemory::release(void* address) {
  const std::unique_lock lock(mutex_);
  const auto found = ends_.find(reinterpret_cast<uintptr_t>(address));
  if (found == ends_.end()) return false;
  const size_t pages = in_pages(found->second - found->first);
  mmap(behind(address), pages, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
       -1, 0);
  ends_.erase(found);
  return true;
}

DeviceMemory::Range DeviceMemory::around(const void* address) const {
  const std::shared_lock lock(mutex_);
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto next = ends_.upper_bound(at);
  if (next == ends_.begin()) return {};
  --next;
  return at < next->second ? Range{next->first, next->second} : Range();
}

std::byte* DeviceMemory::find(const void* address, size_t bytes) const {
  const Range range = around(address);
  return range.has(reinterpret_cast<uintptr_t>(address), bytes) && range.end != 0 ? behind(address)
                                                                                  : nullptr;
}

}  // namespace fathom::emulated
