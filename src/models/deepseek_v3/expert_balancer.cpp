#include <algorithm>

#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/sharding/expert_placement.h"
#include "models/deepseek_v3/weights/expert_table.h"

namespace fathom::models::deepseek_v3 {

// Of the layers as caches_ has them: the MTP layer last.
MoeWeights* Model::moe_of(int64_t layer) {
  const auto at = static_cast<size_t>(layer);
  BlockWeights& block = at < weights_.blocks.size() ? weights_.blocks[at] : weights_.mtp->block;
  return block.moe ? &*block.moe : nullptr;
}

Result<Model::Balance> Model::balance() {
  Balance sum;
  if (!counts_) return sum;
  FATHOM_TRY(counts_->read());
  sum.before = sum.after = 0;
  // Of all layers of the model, the MTP layer last: tokens of each expert, and the ranks'
  // imbalance. Every stage fills in its own, then the sum over all ranks is everyone's.
  const auto layers = static_cast<size_t>(config_.num_hidden_layers + 1);
  const auto width = static_cast<size_t>(config_.n_routed_experts + 1);
  std::vector<float> rows(layers * width);
  int64_t mine = 0;
  for (int64_t layer = 0; layer < static_cast<int64_t>(caches_.size()); ++layer) {
    if (moe_of(layer) == nullptr) continue;
    const auto at = static_cast<size_t>(shard_.layers.begin + layer);
    FATHOM_TRY(count_layer(layer, sum, std::span(rows).subspan(at * width, width)));
    ++mine;
  }
  sum.before = mine > 0 ? sum.before / static_cast<double>(mine) : 1;
  sum.after = mine > 0 ? sum.after / static_cast<double>(mine) : 1;
  if (place_in_stage() != 0) std::ranges::fill(rows, 0.0f);
  if (!ranks_.alone()) {
    FATHOM_TRY(ranks_.world->all_reduce(ranks_.tag("loads_of_layers"), FATHOM_F32, rows.data(),
                                        static_cast<int64_t>(rows.size())));
  }
  for (size_t layer = 0; layer < layers; ++layer) {
    const std::span<const float> row = std::span(rows).subspan(layer * width, width);
    if (row.back() == 0) continue;  // no experts: where there are, it is 1 or more
    sum.loads.push_back({static_cast<int64_t>(layer), {row.begin(), row.end() - 1}, row.back()});
  }
  return sum;
}

int64_t Model::place_in_stage() const {
  return ranks_.alone() ? 0 : ranks_.world->rank() % shard_.layout.stage_ranks();
}

// row: the tokens of each expert and the imbalance, for balance().
Status Model::count_layer(int64_t layer, Balance& sum, std::span<float> row) {
  const std::span<float> loads = counts_->counted(layer);
  if (ranks_.data) {  // the ranks of a data index have counted the same tokens
    FATHOM_TRY(ranks_.data->all_reduce(ranks_.tag("expert_loads"), FATHOM_F32, loads.data(),
                                       static_cast<int64_t>(loads.size())));
  }
  double before = 1;
  double after = 1;
  if (exchange_) {
    const auto& placed = exchange_->placement(layer);
    before = after = imbalance(placed, loads);
    if (shard_.layout.redundant > 0) {
      auto anew = balance_experts(shard_.layout, placed, loads);
      after = imbalance(anew, loads);
      FATHOM_ASSIGN(const int64_t loaded, take_experts(layer, anew));
      sum.loaded += loaded;
      exchange_->place(layer, std::move(anew));
    }
  }
  sum.before += before;
  sum.after += after;
  std::ranges::copy(loads, row.begin());
  row.back() = static_cast<float>(before);
  return {};
}

// Loads the experts that this rank did not have in their places; an expert that loses its place
// goes.
Result<int64_t> Model::take_experts(int64_t layer, const ExpertExchange::Placement& placed) {
  const auto index = static_cast<size_t>(shard_.place.expert);
  const auto& before = exchange_->placement(layer)[index];
  const auto& after = placed[index];
  int64_t loaded = 0;
  for (size_t number = 0; number < after.size(); ++number) {
    if (after[number] == before[number]) continue;
    FATHOM_TRY(place_expert(layer, number, after[number]));
    ++loaded;
  }
  return loaded;
}

Status Model::place_expert(int64_t layer, size_t number, int64_t expert) {
  FATHOM_CHECK(plan_.has_value(), "experts: expected a model that was loaded by a plan");
  const int rank = ranks_.alone() ? 0 : ranks_.world->rank();
  const int64_t layer_of_all = shard_.layers.begin + layer;
  FATHOM_ASSIGN(LoadedExpert loaded,
                load_expert(source_, *plan_, rank, layer_of_all, expert, device_, load_));
  MoeWeights& moe = *moe_of(layer);
  moe.w1[number] = loaded.weights.w1;
  moe.w2[number] = loaded.weights.w2;
  moe.w3[number] = loaded.weights.w3;
  FATHOM_TRY(update_expert(moe, number, layer_of_all, device_));
  moved_.insert_or_assign({layer, number}, std::move(loaded));
  return {};
}

}  // namespace fathom::models::deepseek_v3
