#include "models/deepseek_v3/loading/load_weights.h"

#include "models/deepseek_v3/loading/shard_source.h"
#include "models/deepseek_v3/sharding/rank_shard.h"
#include "models/deepseek_v3/weights/expert_table.h"

namespace fathom::models::deepseek_v3 {
namespace {

// Puts loaded tensors where they belong; those that were not loaded are left empty.
class Assembler final : public WeightVisitor {
 public:
  explicit Assembler(const LoadedTensors& loaded) : loaded_(loaded) {}

  bool contains(std::string_view name) const override { return loaded_.matrices.contains(name); }
  Result<Weight> matrix(const std::string& name, int64_t, int64_t, WeightUse) override {
    const auto found = loaded_.matrices.find(name);
    return found == loaded_.matrices.end() ? Weight{} : found->second;
  }
  Result<const float*> vector(const std::string& name, int64_t) override {
    const auto found = loaded_.vectors.find(name);
    return found == loaded_.vectors.end() ? nullptr : found->second;
  }

 private:
  const LoadedTensors& loaded_;
};

// Of the weights of all experts those in `own`, in that order. A shared expert that takes an
// expert's place is one of them.
void keep_experts(MoeWeights& moe, const std::vector<int64_t>& own, bool shared_is_placed) {
  const MoeWeights all = moe;
  const auto pick = [&](const std::vector<Weight>& routed, Weight MlpWeights::*shared) {
    std::vector<Weight> picked;
    for (const int64_t expert : own) {
      const bool is_shared = expert == kSharedExpert;
      picked.push_back(is_shared ? (*all.shared).*shared : routed[static_cast<size_t>(expert)]);
    }
    return picked;
  };
  moe.w1 = pick(all.w1, &MlpWeights::w1);
  moe.w2 = pick(all.w2, &MlpWeights::w2);
  moe.w3 = pick(all.w3, &MlpWeights::w3);
  if (shared_is_placed) moe.shared.reset();
}

void keep_shard(Weights& weights, const RankShard& shard) {
  const auto first = weights.blocks.begin();
  weights.blocks = std::vector<BlockWeights>(first + shard.layers.begin, first + shard.layers.end);
  if (!shard.is_last()) weights.mtp.reset();
  const auto keep_own = [&](BlockWeights& block) {
    if (block.moe) keep_experts(*block.moe, shard.own_experts(), shard.layout.shared > 0);
  };
  for (BlockWeights& block : weights.blocks) keep_own(block);
  if (weights.mtp) keep_own(weights.mtp->block);
}

}  // namespace

Result<Weights> load_weights(std::shared_ptr<const TensorSource> source, const Config& config,
                             device::Device& device, const LoadOptions& options) {
  FATHOM_ASSIGN(LoadedTensors loaded,
                load_tensors(*source, list_tensors(config, *source), device, options));
  Assembler assembler(loaded);
  FATHOM_ASSIGN(Weights weights, walk_weights(config, assembler));
  weights.source = std::move(source);
  weights.bytes = loaded.bytes;
  weights.arena = std::move(loaded.arena);
  FATHOM_TRY(make_expert_tables(weights, 0, device));
  return weights;
}

Result<Weights> load_weights(std::shared_ptr<const TensorSource> source, const ShardPlan& plan,
                             int64_t rank, device::Device& device, const LoadOptions& options) {
  FATHOM_ASSIGN(auto own, ShardSource::make(std::move(source), plan.parts_of(rank)));
  FATHOM_ASSIGN(LoadedTensors loaded, load_tensors(*own, own->specs(), device, options));
  Assembler assembler(loaded);
  FATHOM_ASSIGN(Weights weights, walk_weights(plan.config(), assembler));
  const RankShard shard = shard_of(plan, rank);
  keep_shard(weights, shard);
  weights.source = std::move(own);
  weights.bytes = loaded.bytes;
  weights.arena = std::move(loaded.arena);
  FATHOM_TRY(make_expert_tables(weights, shard.layers.begin, device));
  return weights;
}

Result<LoadedExpert> load_expert(std::shared_ptr<const TensorSource> source, const ShardPlan& plan,
                                 int64_t rank, int64_t layer, int64_t expert,
                                 device::Device& device, const LoadOptions& options) {
  FATHOM_ASSIGN(auto own,
                ShardSource::make(std::move(source), plan.parts_of_expert(rank, layer, expert)));
  FATHOM_ASSIGN(LoadedTensors loaded, load_tensors(*own, own->specs(), device, options));
  LoadedExpert result;
  for (const auto& [name, weight] : loaded.matrices) {
    if (name.ends_with("gate_proj.weight")) result.weights.w1 = weight;
    if (name.ends_with("down_proj.weight")) result.weights.w2 = weight;
    if (name.ends_with("up_proj.weight")) result.weights.w3 = weight;
  }
  result.source = std::move(own);
  result.arena = std::move(loaded.arena);
  return result;
}

}  // namespace fathom::models::deepseek_v3
