#include "models/deepseek_v3/rank_kv_blocks.h"

#include <cstring>
#include <numeric>

namespace fathom::models::deepseek_v3 {
namespace {

constexpr const char* kTagName = "kv_blocks";

int rank_at(const ParallelLayout& layout, int64_t stage, int64_t data, int64_t tensor) {
  return static_cast<int>((stage * layout.dp + data) * layout.tp + tensor);
}

// Copies the layers of each block between two lists of blocks, whose strides are as long as all
// layers of a block there.
void copy_layers(std::byte* to, size_t to_stride, const std::byte* from, size_t from_stride,
                 size_t bytes, size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) {
    std::memcpy(to + i * to_stride, from + i * from_stride, bytes);
  }
}

}  // namespace

KvBlockFormat RankKvBlocks::format() const {
  KvBlockFormat whole = own_.kv_block_format();
  const auto layers = own_.kv_layers();
  whole.layers = std::accumulate(layers.begin(), layers.end(), int64_t{0});
  return whole;
}

Status RankKvBlocks::gather(int64_t step, const BlockList& list, std::span<std::byte> out) {
  const ParallelLayout& layout = own_.shard().layout;
  const size_t layer = kv_layer_bytes(own_.kv_block_format());
  const size_t block = kv_block_bytes(format());
  std::byte* to = out.data();
  const auto layers = own_.kv_layers();
  for (int64_t stage = 0; stage < layout.pp; ++stage) {
    const size_t bytes = static_cast<size_t>(layers[static_cast<size_t>(stage)]) * layer;
    layers_.resize(bytes * list.blocks.size());
    const int rank = rank_at(layout, stage, list.data_index, 0);
    if (rank == 0) {
      FATHOM_TRY(own_.read_kv_blocks(list.data_index, list.blocks, layers_));
    } else {
      FATHOM_TRY(world_.receive({step, kTagName, {}}, rank, layers_.data(), layers_.size()));
    }
    copy_layers(to, block, layers_.data(), bytes, bytes, list.blocks.size());
    to += bytes;
  }
  return {};
}

Status RankKvBlocks::scatter(int64_t step, const BlockList& list, std::span<const std::byte> in) {
  const ParallelLayout& layout = own_.shard().layout;
  const size_t layer = kv_layer_bytes(own_.kv_block_format());
  const size_t block = kv_block_bytes(format());
  const std::byte* from = in.data();
  const auto layers = own_.kv_layers();
  for (int64_t stage = 0; stage < layout.pp; ++stage) {
    const size_t bytes = static_cast<size_t>(layers[static_cast<size_t>(stage)]) * layer;
    layers_.resize(bytes * list.blocks.size());
    copy_layers(layers_.data(), bytes, from, block, bytes, list.blocks.size());
    for (int64_t tensor = 0; tensor < layout.tp; ++tensor) {
      const int rank = rank_at(layout, stage, list.data_index, tensor);
      if (rank == 0) {
        FATHOM_TRY(own_.write_kv_blocks(list.data_index, list.blocks, layers_));
      } else {
        FATHOM_TRY(world_.send({step, kTagName, {}}, rank, layers_.data(), layers_.size()));
      }
    }
    from += bytes;
  }
  return {};
}

Status follow_blocks(Model& own, comm::Group& world, int64_t step, StepKind kind,
                     const BlockList& list) {
  const RankPlace& place = own.shard().place;
  const bool reads = kind == StepKind::kReadBlocks;
  if (place.data != list.data_index || (reads && place.tensor != 0)) return {};
  std::vector<std::byte> layers(list.blocks.size() * kv_block_bytes(own.kv_block_format()));
  if (reads) {
    FATHOM_TRY(own.read_kv_blocks(list.data_index, list.blocks, layers));
    return world.send({step, kTagName, {}}, 0, layers.data(), layers.size());
  }
  FATHOM_TRY(world.receive({step, kTagName, {}}, 0, layers.data(), layers.size()));
  return own.write_kv_blocks(list.data_index, list.blocks, layers);
}

}  // namespace fathom::models::deepseek_v3
