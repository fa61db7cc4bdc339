#include "backends/cpu/host/parallel_checksum.h"

#include <algorithm>
#include <atomic>

#include "device/checksum.h"

namespace fathom::cpu {

uint64_t parallel_checksum(ThreadPool& pool, const void* from, size_t bytes) {
  constexpr size_t kPartBytes = size_t{1} << 20;  // of whole words
  const size_t parts = (bytes + kPartBytes - 1) / kPartBytes;
  std::atomic<uint64_t> sum = 0;
  parallel_for(pool, static_cast<int64_t>(parts), [&](int64_t part, int) {
    const size_t begin = static_cast<size_t>(part) * kPartBytes;
    sum += device::checksum(static_cast<const std::byte*>(from) + begin,
                            std::min(kPartBytes, bytes - begin), begin / sizeof(uint64_t));
  });
  return sum;
}

}  // namespace fathom::cpu
