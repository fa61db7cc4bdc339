#include "backends/cpu/discrete/device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <mutex>

#include "backends/cpu/checks/check_parts.h"
#include "base/check.h"

namespace fathom::cpu::discrete {
namespace {

size_t in_pages(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

// NULL where there is no room.
void* map_pages(size_t bytes, int protection, int flags) {
  void* pages =
      mmap(nullptr, in_pages(bytes), protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

}  // namespace

DeviceMemory::~DeviceMemory() {
  for (const auto& [begin, allocation] : allocations_) {
    munmap(reinterpret_cast<void*>(begin), in_pages(allocation.bytes));
    if (allocation.backing != nullptr) munmap(allocation.backing, in_pages(allocation.bytes));
  }
}

void* DeviceMemory::allocate(size_t bytes) {
  if (bytes > std::numeric_limits<size_t>::max() / 2) return nullptr;
  bytes = std::max<size_t>(bytes, 1);
  void* backing = map_pages(bytes, PROT_READ | PROT_WRITE, 0);
  if (backing == nullptr) return nullptr;
  void* address = map_pages(bytes, PROT_NONE, MAP_NORESERVE);
  if (address == nullptr) {
    munmap(backing, in_pages(bytes));
    return nullptr;
  }
  std::fill_n(static_cast<uint32_t*>(backing), in_pages(bytes) / sizeof(kPoison), kPoison);
  const std::unique_lock lock(mutex_);
  allocations_[reinterpret_cast<uintptr_t>(address)] = {bytes, static_cast<std::byte*>(backing)};
  return address;
}

void DeviceMemory::release(void* address) {
  const std::unique_lock lock(mutex_);
  const auto found = allocations_.find(reinterpret_cast<uintptr_t>(address));
  FATHOM_CHECK(found != allocations_.end() && found->second.backing != nullptr,
               "cpu-discrete: free: expected memory of alloc() that was not freed yet");
  munmap(found->second.backing, in_pages(found->second.bytes));
  found->second.backing = nullptr;
}

DeviceMemory::Allocations::const_iterator DeviceMemory::around(const void* address) const {
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto next = allocations_.upper_bound(at);
  if (next == allocations_.begin()) return allocations_.end();
  --next;
  return at - next->first < in_pages(next->second.bytes) ? next : allocations_.end();
}

std::byte* DeviceMemory::find(const void* address, size_t bytes, const char* call,
                              const char* what) const {
  const auto found = around(address);
  if (found == allocations_.end()) {
    invalid("cpu-discrete: {}: expected {} in device memory, got {}", call, what, address);
    return nullptr;
  }
  const auto& [begin, allocation] = *found;
  if (allocation.backing == nullptr) {
    invalid("cpu-discrete: {}: expected {} in device memory, got {}, which was freed", call, what,
            address);
    return nullptr;
  }
  const size_t offset = reinterpret_cast<uintptr_t>(address) - begin;
  const size_t room = allocation.bytes - std::min(allocation.bytes, offset);
  if (bytes > room) {
    invalid("cpu-discrete: {}: expected {} of {} bytes, got {}, where memory ends after {}", call,
            what, bytes, address, room);
    return nullptr;
  }
  return allocation.backing + offset;
}

bool DeviceMemory::is_device(const void* address) const {
  return around(address) != allocations_.end();
}

}  // namespace fathom::cpu::discrete
