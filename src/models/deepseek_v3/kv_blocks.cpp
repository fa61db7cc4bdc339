#include "models/deepseek_v3/kv_blocks.h"

#include <cstring>

namespace fathom::models::deepseek_v3 {
namespace {

// A token's bytes in the cache's two planes; in one row all of them are in the first.
struct PlaneBytes {
  size_t data;
  size_t rope;
};

PlaneBytes plane_bytes(const Config& config, const KvBlockFormat& format, int32_t planes) {
  const auto bytes = [&](int64_t numbers) {
    return static_cast<size_t>(numbers) * device::dtype_size(format.dtype);
  };
  if (planes == 1) return {bytes(format.latent), 0};
  return {bytes(config.kv_lora_rank), bytes(config.qk_rope_head_dim)};
}

// Calls copy(memory, bytes) for each layer of each block, and there for each plane.
template <typename Copy>
Status each_plane(const std::vector<fathom_kv_cache>& caches, std::span<const int32_t> blocks,
                  const PlaneBytes& token, const Copy& copy) {
  for (const int32_t block : blocks) {
    for (const fathom_kv_cache& cache : caches) {
      const auto of_block = [&](void* plane, size_t bytes) {
        const size_t size = bytes * static_cast<size_t>(cache.block_size);
        return copy(static_cast<std::byte*>(plane) + static_cast<size_t>(block) * size, size);
      };
      FATHOM_TRY(of_block(cache.data, token.data));
      if (token.rope > 0) FATHOM_TRY(of_block(cache.rope, token.rope));
    }
  }
  return {};
}

// Between layers whose planes lie one behind the other, and layers of whole rows.
void join_planes(std::span<const std::byte> planes, const PlaneBytes& token, int64_t block_size,
                 std::span<std::byte> rows) {
  const auto tokens = static_cast<size_t>(block_size);
  const size_t row = token.data + token.rope;
  for (size_t layer = 0; layer < rows.size(); layer += tokens * row) {
    const std::byte* data = planes.data() + layer;
    const std::byte* rope = data + tokens * token.data;
    for (size_t t = 0; t < tokens; ++t) {
      std::byte* to = rows.data() + layer + t * row;
      std::memcpy(to, data + t * token.data, token.data);
      std::memcpy(to + token.data, rope + t * token.rope, token.rope);
    }
  }
}
void split_planes(std::span<const std::byte> rows, const PlaneBytes& token, int64_t block_size,
                  std::span<std::byte> planes) {
  const auto tokens = static_cast<size_t>(block_size);
  const size_t row = token.data + token.rope;
  for (size_t layer = 0; layer < rows.size(); layer += tokens * row) {
    std::byte* data = planes.data() + layer;
    std::byte* rope = data + tokens * token.data;
    for (size_t t = 0; t < tokens; ++t) {
      const std::byte* from = rows.data() + layer + t * row;
      std::memcpy(data + t * token.data, from, token.data);
      std::memcpy(rope + t * token.rope, from + token.data, token.rope);
    }
  }
}

}  // namespace

KvBlockFormat KvBlocks::format() const {
  return {.dtype = limits_.kv_dtype,
          .layers = static_cast<int64_t>(caches_.size()),
          .block_size = limits_.kv_block_size,
          .latent = config_.latent_dim()};
}

Status KvBlocks::read(std::span<const int32_t> blocks, std::span<std::byte> out) {
  const KvBlockFormat layout = format();
  FATHOM_CHECK(out.size() == blocks.size() * kv_block_bytes(layout),
               "kv blocks: expected memory for each layer of each");
  const PlaneBytes each = plane_bytes(config_, layout, device_.kv_planes());
  std::byte* to = out.data();
  if (each.rope > 0) {
    planes_.resize(out.size());
    to = planes_.data();
  }
  FATHOM_TRY(each_plane(caches_, blocks, each, [&](const void* plane, size_t bytes) {
    const auto copied = device_.copy_to_host(to, plane, bytes);
    to += bytes;
    return copied;
  }));
  FATHOM_TRY(device_.synchronize());
  if (each.rope > 0) join_planes(planes_, each, layout.block_size, out);
  return {};
}

Status KvBlocks::write(std::span<const int32_t> blocks, std::span<const std::byte> in) {
  const KvBlockFormat layout = format();
  FATHOM_CHECK(in.size() == blocks.size() * kv_block_bytes(layout),
               "kv blocks: expected each layer of each");
  const PlaneBytes each = plane_bytes(config_, layout, device_.kv_planes());
  const std::byte* from = in.data();
  if (each.rope > 0) {
    planes_.resize(in.size());
    split_planes(in, each, layout.block_size, planes_);
    from = planes_.data();
  }
  FATHOM_TRY(each_plane(caches_, blocks, each, [&](void* plane, size_t bytes) {
    const auto copied = device_.copy_to_device(plane, from, bytes);
    from += bytes;
    return copied;
  }));
  return device_.synchronize();
}

}  // namespace fathom::models::deepseek_v3
