#include <algorithm>

#include "models/deepseek_v3/balance.h"
#include "models/deepseek_v3/model.h"

namespace fathom::models::deepseek_v3 {

// Of the layers as caches_ has them: the MTP layer last.
MoeWeights* Model::moe_of(int64_t layer) {
  const auto at = static_cast<size_t>(layer);
  BlockWeights& block = at < weights_.blocks.size() ? weights_.blocks[at] : weights_.mtp->block;
  return block.moe ? &*block.moe : nullptr;
}

Result<Model::Balance> Model::balance() {
  Balance sum;
  if (!exchange_ || share_.layout.redundant == 0) return sum;
  sum = {0, 0, 0};
  int64_t layers = 0;
  for (int64_t layer = 0; layer < static_cast<int64_t>(caches_.size()); ++layer) {
    if (moe_of(layer) == nullptr) continue;
    std::vector<float>& loads = exchange_->loads(layer);
    if (ranks_.expert) {  // without it every rank has the same tokens
      FATHOM_TRY(ranks_.expert->all_reduce(ranks_.tag("expert_loads"), FATHOM_F32, loads.data(),
                                           static_cast<int64_t>(loads.size())));
    }
    const auto& before = exchange_->placement(layer);
    auto after = balance_experts(share_.layout, before, loads);
    ++layers;
    sum.before += imbalance(before, loads);
    sum.after += imbalance(after, loads);
    FATHOM_ASSIGN(const int64_t loaded, take_experts(layer, after));
    sum.loaded += loaded;
    exchange_->place(layer, std::move(after));
    std::ranges::fill(loads, 0.0f);
  }
  if (layers == 0) return Balance{};
  sum.before /= static_cast<double>(layers);
  sum.after /= static_cast<double>(layers);
  return sum;
}

// Loads the experts that this rank did not have in their places; an expert that loses its place
// goes.
Result<int64_t> Model::take_experts(int64_t layer, const ExpertExchange::Placement& placed) {
  const auto index = static_cast<size_t>(share_.place.expert);
  const auto& before = exchange_->placement(layer)[index];
  const auto& after = placed[index];
  MoeWeights& moe = *moe_of(layer);
  int64_t loaded = 0;
  for (size_t number = 0; number < after.size(); ++number) {
    if (after[number] == before[number]) continue;
    FATHOM_ASSIGN(LoadedExpert expert,
                  LoadedExpert::load(source_, *plan_, ranks_.world->rank(),
                                     share_.layers.begin + layer, after[number], device_, load_));
    moe.w1[number] = expert.weights.w1;
    moe.w2[number] = expert.weights.w2;
    moe.w3[number] = expert.weights.w3;
    moved_.insert_or_assign({layer, number}, std::move(expert));
    ++loaded;
  }
  return loaded;
}

}  // namespace fathom::models::deepseek_v3
