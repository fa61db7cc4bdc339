#include "models/deepseek_v3/weights/expert_table.h"

#include <fmt/format.h>

#include <vector>

namespace fathom::models::deepseek_v3 {
namespace {

Weight without_data(Weight weight) {
  weight.data = nullptr;
  weight.scale = nullptr;
  return weight;
}

bool are_alike(const Weight& a, const Weight& b) {
  return same_format(a, b) && a.layout == b.layout && a.n == b.n && a.k == b.k;
}

std::string described(const Weight& weight) {
  return fmt::format("{} [{}, {}] in blocks of {}x{}, layout {}",
                     device::dtype_name(static_cast<fathom_dtype>(weight.dtype)), weight.n,
                     weight.k, weight.block_n, weight.block_k, weight.layout);
}

Status check_alike(const std::vector<Weight>& experts, const char* matrix, int64_t layer) {
  for (size_t number = 1; number < experts.size(); ++number) {
    if (are_alike(experts[number], experts.front())) continue;
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("model.layers.{}.mlp.experts: expected {}.weight of all experts alike, "
                    "got {} and {}; --weights makes one format of them",
                    layer, matrix, described(experts.front()), described(experts[number]))};
  }
  return {};
}

Status check_experts(const MoeWeights& moe, int64_t layer) {
  FATHOM_TRY(check_alike(moe.w1, "gate_proj", layer));
  FATHOM_TRY(check_alike(moe.w3, "up_proj", layer));
  return check_alike(moe.w2, "down_proj", layer);
}

fathom_expert entry_of(const MoeWeights& moe, size_t number) {
  const Weight& gate = moe.w1[number];
  const Weight& up = moe.w3[number];
  const Weight& down = moe.w2[number];
  return {gate.data, up.data, down.data, gate.scale, up.scale, down.scale};
}

struct LayerExperts {
  MoeWeights* moe;
  int64_t layer;
};

std::vector<LayerExperts> layers_with_experts(Weights& weights, int64_t first_layer) {
  std::vector<LayerExperts> layers;
  int64_t layer = first_layer;
  const auto add = [&](BlockWeights& block) {
    if (block.moe) layers.push_back({&*block.moe, layer});
    ++layer;
  };
  for (BlockWeights& block : weights.blocks) add(block);
  if (weights.mtp) add(weights.mtp->block);
  return layers;
}

}  // namespace

Status make_expert_tables(Weights& weights, int64_t first_layer, device::Device& device) {
  const auto layers = layers_with_experts(weights, first_layer);
  if (layers.empty()) return {};
  const auto table_bytes = [](const LayerExperts& of) {
    return of.moe->w1.size() * sizeof(fathom_expert);
  };
  size_t bytes = 0;
  for (const LayerExperts& of : layers) {
    FATHOM_TRY(check_experts(*of.moe, of.layer));
    bytes += device::Arena::padded(table_bytes(of), device.info().alignment);
  }
  FATHOM_ASSIGN(weights.expert_tables, device.alloc_arena(bytes, "tables of experts"));
  for (const LayerExperts& of : layers) {
    std::vector<fathom_expert> table;
    for (size_t i = 0; i < of.moe->w1.size(); ++i) table.push_back(entry_of(*of.moe, i));
    of.moe->table = static_cast<fathom_expert*>(weights.expert_tables.take(table_bytes(of)));
    FATHOM_TRY(device.copy_to_device(of.moe->table, table.data(), table_bytes(of)));
    FATHOM_TRY(device.synchronize());  // `table` ends here
  }
  return {};
}

Status update_expert(MoeWeights& moe, size_t number, int64_t layer, device::Device& device) {
  FATHOM_TRY(check_experts(moe, layer));
  const fathom_expert entry = entry_of(moe, number);
  FATHOM_TRY(device.copy_to_device(moe.table + number, &entry, sizeof(entry)));
  return device.synchronize();
}

ops::MoeExperts experts_of(const MoeWeights& moe) {
  return {.table = moe.table,
          .count = static_cast<int64_t>(moe.w1.size()),
          .gate = without_data(moe.w1.front()),
          .up = without_data(moe.w3.front()),
          .down = without_data(moe.w2.front())};
}

}  // namespace fathom::models::deepseek_v3
