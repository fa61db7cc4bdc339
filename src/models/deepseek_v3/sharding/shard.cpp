#include "models/deepseek_v3/sharding/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace fathom::models::deepseek_v3 {
namespace {

// Blocks of `block` that a range touches.
int64_t blocks_in(const Range& range, int32_t block) {
  return (range.end + block - 1) / block - range.begin / block;
}

size_t stored_bytes(const Weight& stored, const Range& rows, const Range& columns) {
  Weight part = stored;
  part.n = rows.size();
  part.k = columns.size();
  if (stored.block_n == 0) return data_bytes(part);
  const int64_t scales = blocks_in(rows, stored.block_n) * blocks_in(columns, stored.block_k);
  return data_bytes(part) + static_cast<size_t>(scales) * sizeof(float);
}

// Whether the head or the MTP layer reads the model's embedding.
bool end_reads_embedding(const Config& config, const std::vector<ManifestEntry>& tensors) {
  if (config.tie_word_embeddings) return true;
  if (config.num_nextn_predict_layers == 0) return false;
  const auto own = fmt::format("model.layers.{}.embed_tokens.weight", config.num_hidden_layers);
  return std::ranges::none_of(tensors,
                              [&](const ManifestEntry& tensor) { return tensor.spec.name == own; });
}

}  // namespace

Result<ShardPlan> ShardPlan::make(const Config& config, const ParallelLayout& layout,
                                  std::vector<ManifestEntry> tensors, WeightFormat format) {
  FATHOM_TRY(check_cuts(config, layout, tensors, format));
  ShardPlan plan(config, layout, format);
  plan.tensors_ = std::move(tensors);
  for (const auto& tensor : plan.tensors_) {
    plan.divisions_.push_back(divide(config, layout, tensor.spec));
  }
  plan.last_stage_embeds_ = end_reads_embedding(config, plan.tensors_);
  plan.experts_ = place_experts(layout, config);
  plan.choose_stages();
  plan.index_tensors();
  return plan;
}

// Weighs what the first rank of a stage would hold: all of them hold about the same.
void ShardPlan::choose_stages() {
  std::vector<int64_t> bytes(static_cast<size_t>(config_.num_hidden_layers) + 2);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Division& division = divisions_[i];
    const auto& first = experts_.front();
    const bool held =
        division.expert == kNoExpert || std::ranges::find(first, division.expert) != first.end();
    if (!held) continue;
    const auto size = static_cast<int64_t>(part(i, RankPlace{}).loaded_bytes);
    bytes[static_cast<size_t>(division.layer + 1)] += size;
    if (is_twice(i)) bytes.back() += size;
  }
  const std::span<const int64_t> layers(bytes.begin() + 1, bytes.end() - 1);
  stages_ = balance_layers(layers, bytes.front(), bytes.back(), layout_.pp);
}

// Whether the last stage holds a tensor of the first one too.
bool ShardPlan::is_twice(size_t index) const {
  return layout_.pp > 1 && last_stage_embeds_ && divisions_[index].layer == kBeforeLayers;
}

size_t ShardPlan::stage_of(int64_t layer) const {
  const auto stage = std::ranges::find_if(
      stages_, [&](const Range& layers) { return layer < layers.end; });  // kBeforeLayers too
  return std::min(static_cast<size_t>(stage - stages_.begin()), stages_.size() - 1);
}

size_t ShardPlan::expert_index(int64_t expert) const {
  return static_cast<size_t>(expert == kSharedExpert ? config_.n_routed_experts : expert);
}

void ShardPlan::index_tensors() {
  common_.resize(stages_.size());
  const auto experts = static_cast<size_t>(config_.n_routed_experts) + 1;
  of_expert_.assign(stages_.size(), std::vector<Indices>(experts));
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Division& division = divisions_[i];
    const size_t stage = stage_of(division.layer);
    const bool common = division.expert == kNoExpert;
    (common ? common_[stage] : of_expert_[stage][expert_index(division.expert)]).push_back(i);
    if (is_twice(i)) common_.back().push_back(i);
  }
}

TensorPart ShardPlan::part(size_t index, const RankPlace& place) const {
  const ManifestEntry& tensor = tensors_[index];
  const Division& division = divisions_[index];
  const int64_t count = division.over_slices ? layout_.slices() : layout_.tp;
  const int64_t mine = division.over_slices ? place.slice : place.tensor;
  const bool is_vector = tensor.spec.is_vector();
  TensorPart part;
  part.tensor = &tensor;
  part.rows = {0, tensor.spec.n};
  part.columns = {0, tensor.spec.k};
  if (division.cut == Cut::kRows) part.rows = part_of(tensor.spec.n, mine, count);
  if (division.cut == Cut::kColumns) part.columns = part_of(tensor.spec.k, mine, count);
  part.loaded = is_vector ? loaded_part(tensor, format_, 1, part.rows.size())
                          : loaded_part(tensor, format_, part.rows.size(), part.columns.size());
  part.file_bytes = is_vector ? stored_bytes(tensor.stored, {0, 1}, part.rows)
                              : stored_bytes(tensor.stored, part.rows, part.columns);
  part.loaded_bytes = weight_bytes(part.loaded);
  return part;
}

std::vector<TensorPart> ShardPlan::parts_of_expert(int64_t rank, int64_t layer,
                                                   int64_t expert) const {
  const RankPlace place = place_of(layout_, rank);
  std::vector<TensorPart> parts;
  for (const size_t index : of_expert_[static_cast<size_t>(place.stage)][expert_index(expert)]) {
    if (divisions_[index].layer == layer) parts.push_back(part(index, place));
  }
  return parts;
}

std::vector<TensorPart> ShardPlan::parts_of(int64_t rank) const {
  const RankPlace place = place_of(layout_, rank);
  const auto stage = static_cast<size_t>(place.stage);
  Indices held = common_[stage];
  for (const int64_t expert : experts_[static_cast<size_t>(place.expert)]) {
    const Indices& its = of_expert_[stage][expert_index(expert)];
    held.insert(held.end(), its.begin(), its.end());
  }
  std::ranges::sort(held);
  std::vector<TensorPart> parts;
  parts.reserve(held.size());
  for (const size_t index : held) parts.push_back(part(index, place));
  return parts;
}

}  // namespace fathom::models::deepseek_v3
