// The contract's checksum: sums modulo 2^64, so their order does not matter.
#include "backends/gpu/kernels/block_sum.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kThreads = kChecksumParts;
constexpr int kSharedWords = kThreads / kWarp;

GPU_KERNEL void checksum_parts(Global<const uint64_t> from, int64_t bytes, Global<uint64_t> parts) {
  const int64_t words = bytes / 8;
  const int64_t step = blocks_x() * threads();
  uint64_t sum = 0;
  for (int64_t i = block_x() * threads() + thread(); i < words; i += step) {
    sum += static_cast<uint64_t>(2 * i + 1) * load(from, i);
  }
  if (block_x() == 0 && thread() == 0) {
    uint64_t last = 0;
    for (int64_t i = words * 8; i < bytes; ++i) {
      last |= static_cast<uint64_t>(load(from.as<const uint8_t>(), i)) << (i % 8 * 8);
    }
    sum += static_cast<uint64_t>(2 * words + 1) * last;
  }
  sum = block_sum(sum, shared<uint64_t>(0));
  if (thread() == 0) store(parts, block_x(), sum);
}

GPU_KERNEL void checksum_total(Global<const uint64_t> parts, Global<uint64_t> total) {
  const uint64_t sum = block_sum(load(parts, thread()), shared<uint64_t>(0));
  if (thread() == 0) store(total, 0, sum);
}

}  // namespace

fathom_status launch_checksum(Queue& queue, const void* from, size_t bytes, uint64_t* sum,
                              uint64_t* parts) {
  const Shape all = {kChecksumParts, 1, 1, kThreads,
                     kSharedWords * static_cast<int>(sizeof(uint64_t))};
  const auto status =
      launch(queue, "checksum_parts", all, checksum_parts, static_cast<const uint64_t*>(from),
             static_cast<int64_t>(bytes), parts);
  if (status != FATHOM_OK) return status;
  Shape one = all;
  one.grid_x = 1;
  return launch(queue, "checksum_total", one, checksum_total, static_cast<const uint64_t*>(parts),
                sum);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
