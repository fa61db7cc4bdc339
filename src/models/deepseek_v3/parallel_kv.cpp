// KV blocks of a model over several ranks: rank 0 gathers and scatters their layers.
#include <cstring>
#include <numeric>

#include "models/deepseek_v3/parallel_model.h"

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

KvBlockFormat ParallelModel::kv_block_format() const {
  KvBlockFormat format = own_->kv_block_format();
  const auto layers = own_->kv_layers();
  format.layers = std::accumulate(layers.begin(), layers.end(), int64_t{0});
  return format;
}

Status ParallelModel::read_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                                     std::span<std::byte> out) {
  const BlockList list = {data_index, blocks};
  return call_blocks(StepKind::kReadBlocks, list, [&] { return gather_layers(list, out); });
}

Status ParallelModel::write_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                                      std::span<const std::byte> in) {
  const BlockList list = {data_index, blocks};
  return call_blocks(StepKind::kWriteBlocks, list, [&] { return scatter_layers(list, in); });
}

Status ParallelModel::call_blocks(StepKind kind, const BlockList& list,
                                  const std::function<Status()>& call) {
  if (failure_) return *failure_;
  if (const auto told = announce(writer_.write(kind, list)); !told) return fail(told.error());
  if (const auto done = call(); !done) return fail(done.error());
  return {};
}

Status ParallelModel::gather_layers(const BlockList& list, std::span<std::byte> out) {
  const ParallelLayout& layout = own_->shard().layout;
  const size_t layer = kv_layer_bytes(own_->kv_block_format());
  const size_t block = kv_block_bytes(kv_block_format());
  std::byte* to = out.data();
  const auto layers = own_->kv_layers();
  for (int64_t stage = 0; stage < layout.pp; ++stage) {
    const size_t bytes = static_cast<size_t>(layers[static_cast<size_t>(stage)]) * layer;
    layers_.resize(bytes * list.blocks.size());
    const int rank = rank_at(layout, stage, list.data_index, 0);
    if (rank == 0) {
      FATHOM_TRY(own_->read_kv_blocks(list.data_index, list.blocks, layers_));
    } else {
      FATHOM_TRY(world_.receive({step_, kTagName, {}}, rank, layers_.data(), layers_.size()));
    }
    copy_layers(to, block, layers_.data(), bytes, bytes, list.blocks.size());
    to += bytes;
  }
  return {};
}

Status ParallelModel::scatter_layers(const BlockList& list, std::span<const std::byte> in) {
  const ParallelLayout& layout = own_->shard().layout;
  const size_t layer = kv_layer_bytes(own_->kv_block_format());
  const size_t block = kv_block_bytes(kv_block_format());
  const std::byte* from = in.data();
  const auto layers = own_->kv_layers();
  for (int64_t stage = 0; stage < layout.pp; ++stage) {
    const size_t bytes = static_cast<size_t>(layers[static_cast<size_t>(stage)]) * layer;
    layers_.resize(bytes * list.blocks.size());
    copy_layers(layers_.data(), bytes, from, block, bytes, list.blocks.size());
    for (int64_t tensor = 0; tensor < layout.tp; ++tensor) {
      const int rank = rank_at(layout, stage, list.data_index, tensor);
      if (rank == 0) {
        FATHOM_TRY(own_->write_kv_blocks(list.data_index, list.blocks, layers_));
      } else {
        FATHOM_TRY(world_.send({step_, kTagName, {}}, rank, layers_.data(), layers_.size()));
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
