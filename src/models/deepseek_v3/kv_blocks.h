// The blocks of a rank's cache, as engines hand them to each other: each layer of each block one
// behind the other, in whole rows even where the chip keeps latents and rotated keys in two planes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/config/config.h"

namespace fathom::models::deepseek_v3 {

class KvBlocks {
 public:
  // Of the caches of all its layers; all of it outlives the blocks.
  KvBlocks(const Config& config, const RunLimits& limits,
           const std::vector<fathom_kv_cache>& caches, device::Device& device)
      : config_(config), limits_(limits), caches_(caches), device_(device) {}

  KvBlockFormat format() const;
  // These wait for the copies. out, in: kv_block_bytes(format()) for each block.
  Status read(std::span<const int32_t> blocks, std::span<std::byte> out);
  Status write(std::span<const int32_t> blocks, std::span<const std::byte> in);

 private:
  const Config& config_;
  const RunLimits& limits_;
  const std::vector<fathom_kv_cache>& caches_;
  device::Device& device_;
  std::vector<std::byte> planes_;  // where the cache has two: the blocks as it has them
};

}  // namespace fathom::models::deepseek_v3
