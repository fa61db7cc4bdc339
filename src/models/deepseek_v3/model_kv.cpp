// The cache's blocks, as engines hand them to each other.
#include "models/deepseek_v3/model.h"

namespace fathom::models::deepseek_v3 {

KvBlockFormat Model::kv_block_format() const {
  return {.dtype = limits_.kv_dtype,
          .layers = static_cast<int64_t>(caches_.size()),
          .block_size = limits_.kv_block_size,
          .latent = config_.latent_dim()};
}

std::vector<int64_t> Model::kv_layers() const {
  if (!plan_) return {static_cast<int64_t>(caches_.size())};
  std::vector<int64_t> layers;
  for (const Range& stage : plan_->stages()) layers.push_back(stage.size());
  layers.back() += config_.num_nextn_predict_layers;
  return layers;
}

Status Model::read_kv_blocks(int64_t /*data_index*/, std::span<const int32_t> blocks,
                             std::span<std::byte> out) {
  const size_t bytes = kv_layer_bytes(kv_block_format());
  FATHOM_CHECK(out.size() == blocks.size() * caches_.size() * bytes,
               "kv blocks: expected memory for each layer of each");
  std::byte* to = out.data();
  for (const int32_t block : blocks) {
    for (const fathom_kv_cache& cache : caches_) {
      const auto* layer = static_cast<const std::byte*>(cache.data);
      FATHOM_TRY(device_.copy_to_host(to, layer + static_cast<size_t>(block) * bytes, bytes));
      to += bytes;
    }
  }
  return device_.synchronize();
}

Status Model::write_kv_blocks(int64_t /*data_index*/, std::span<const int32_t> blocks,
                              std::span<const std::byte> in) {
  const size_t bytes = kv_layer_bytes(kv_block_format());
  FATHOM_CHECK(in.size() == blocks.size() * caches_.size() * bytes,
               "kv blocks: expected each layer of each");
  const std::byte* from = in.data();
  for (const int32_t block : blocks) {
    for (const fathom_kv_cache& cache : caches_) {
      auto* layer = static_cast<std::byte*>(cache.data);
      FATHOM_TRY(device_.copy_to_device(layer + static_cast<size_t>(block) * bytes, from, bytes));
      from += bytes;
    }
  }
  return device_.synchronize();
}

}  // namespace fathom::models::deepseek_v3
