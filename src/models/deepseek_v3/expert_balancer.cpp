#include "models/deepseek_v3/expert_balancer.h"

#include <algorithm>
#include <vector>

#include "models/deepseek_v3/sharding/expert_placement.h"
#include "models/deepseek_v3/weights/expert_table.h"

namespace fathom::models::deepseek_v3 {

MoeWeights* ExpertBalancer::moe_of(int64_t layer) {
  Weights& weights = rank_.weights;
  const auto at = static_cast<size_t>(layer);
  BlockWeights& block = at < weights.blocks.size() ? weights.blocks[at] : weights.mtp->block;
  return block.moe ? &*block.moe : nullptr;
}

Result<ExpertBalance> ExpertBalancer::balance() {
  ExpertBalance sum;
  FATHOM_TRY(rank_.counts.read());
  sum.before = sum.after = 0;
  // Of all layers of the model, the MTP layer last: tokens of each expert, and the ranks'
  // imbalance. Every stage fills in its own, then the sum over all ranks is everyone's.
  const auto layers = static_cast<size_t>(rank_.config.num_hidden_layers + 1);
  const auto width = static_cast<size_t>(rank_.config.n_routed_experts + 1);
  std::vector<float> rows(layers * width);
  int64_t mine = 0;
  for (int64_t layer = 0; layer < rank_.layers; ++layer) {
    if (moe_of(layer) == nullptr) continue;
    const auto at = static_cast<size_t>(rank_.shard.layers.begin + layer);
    FATHOM_TRY(count_layer(layer, sum, std::span(rows).subspan(at * width, width)));
    ++mine;
  }
  sum.before = mine > 0 ? sum.before / static_cast<double>(mine) : 1;
  sum.after = mine > 0 ? sum.after / static_cast<double>(mine) : 1;
  if (place_in_stage() != 0) std::ranges::fill(rows, 0.0f);
  const Ranks& ranks = rank_.ranks;
  if (!ranks.alone()) {
    FATHOM_TRY(ranks.world->all_reduce(ranks.tag("loads_of_layers"), FATHOM_F32, rows.data(),
                                       static_cast<int64_t>(rows.size())));
  }
  for (size_t layer = 0; layer < layers; ++layer) {
    const std::span<const float> row = std::span(rows).subspan(layer * width, width);
    if (row.back() == 0) continue;  // no experts: where there are, it is 1 or more
    sum.loads.push_back({static_cast<int64_t>(layer), {row.begin(), row.end() - 1}, row.back()});
  }
  return sum;
}

int64_t ExpertBalancer::place_in_stage() const {
  const Ranks& ranks = rank_.ranks;
  return ranks.alone() ? 0 : ranks.world->rank() % rank_.shard.layout.stage_ranks();
}

// row: the tokens of each expert and the imbalance, for balance().
Status ExpertBalancer::count_layer(int64_t layer, ExpertBalance& sum, std::span<float> row) {
  const Ranks& ranks = rank_.ranks;
  const std::span<float> loads = rank_.counts.counted(layer);
  if (ranks.data) {  // the ranks of a replica have counted the same tokens
    FATHOM_TRY(ranks.data->all_reduce(ranks.tag("expert_loads"), FATHOM_F32, loads.data(),
                                      static_cast<int64_t>(loads.size())));
  }
  double before = 1;
  double after = 1;
  if (rank_.exchange != nullptr) {
    const ParallelLayout& layout = rank_.shard.layout;
    const auto& placed = rank_.exchange->placement(layer);
    before = after = imbalance(placed, loads);
    if (layout.redundant > 0) {
      auto anew = balance_experts(layout, placed, loads);
      after = imbalance(anew, loads);
      FATHOM_ASSIGN(const int64_t loaded, take_experts(layer, anew));
      sum.loaded += loaded;
      rank_.exchange->place(layer, std::move(anew));
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
Result<int64_t> ExpertBalancer::take_experts(int64_t layer,
                                             const ExpertExchange::Placement& placed) {
  const auto index = static_cast<size_t>(rank_.shard.place.expert);
  const auto& before = rank_.exchange->placement(layer)[index];
  const auto& after = placed[index];
  int64_t loaded = 0;
  for (size_t number = 0; number < after.size(); ++number) {
    if (after[number] == before[number]) continue;
    FATHOM_TRY(place_expert(layer, number, after[number]));
    ++loaded;
  }
  return loaded;
}

Status ExpertBalancer::place_expert(int64_t layer, size_t number, int64_t expert) {
  FATHOM_CHECK(origin_.plan != nullptr, "experts: expected a model that was loaded by a plan");
  const int rank = rank_.ranks.alone() ? 0 : rank_.ranks.world->rank();
  const int64_t layer_of_all = rank_.shard.layers.begin + layer;
  FATHOM_ASSIGN(LoadedExpert loaded, load_expert(origin_.source, *origin_.plan, rank, layer_of_all,
                                                 expert, rank_.device, origin_.load));
  MoeWeights& moe = *moe_of(layer);
  moe.w1[number] = loaded.weights.w1;
  moe.w2[number] = loaded.weights.w2;
  moe.w3[number] = loaded.weights.w3;
  FATHOM_TRY(update_expert(moe, number, layer_of_all, rank_.device));
  moved_.insert_or_assign({layer, number}, std::move(loaded));
  return {};
}

}  // namespace fathom::models::deepseek_v3
