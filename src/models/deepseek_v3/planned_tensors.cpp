#include "models/deepseek_v3/planned_tensors.h"

namespace fathom::models::deepseek_v3 {
namespace {

// Norms are BF16; the gate's correction biases are F32.
Weight stored_vector(const TensorSpec& spec) {
  return weight_in_rows(spec.name.ends_with("_bias") ? FATHOM_F32 : FATHOM_BF16, 1, spec.n);
}

Weight stored_matrix(const Config& config, const TensorSpec& spec) {
  const Weight bf16 = weight_in_rows(FATHOM_BF16, spec.n, spec.k);
  if (config.stored_weights != WeightFormat::kFp8) {
    return choose_format(config.stored_weights, spec.use, bf16);
  }
  if (spec.use == WeightUse::kHead || spec.name.ends_with(".eh_proj.weight")) return bf16;
  Weight stored = choose_format(WeightFormat::kFp8, spec.use, bf16);
  if (stored.dtype == FATHOM_F8_E4M3) {
    stored.block_n = config.fp8_block_n;
    stored.block_k = config.fp8_block_k;
  }
  return stored;
}

}  // namespace

std::vector<PlannedTensor> planned_tensors(const Config& config) {
  std::vector<PlannedTensor> tensors;
  for (auto& spec : list_tensors(config)) {
    const Weight stored = spec.is_vector() ? stored_vector(spec) : stored_matrix(config, spec);
    tensors.push_back({std::move(spec), stored});
  }
  return tensors;
}

Result<std::vector<PlannedTensor>> planned_tensors(const Config& config,
                                                   const TensorSource& source) {
  std::vector<PlannedTensor> tensors;
  for (auto& spec : list_tensors(config, source)) {
    Weight stored = stored_vector(spec);
    if (!spec.is_vector()) {
      FATHOM_ASSIGN(stored, source.matrix(spec.name, spec.n, spec.k));
      stored.data = nullptr;
      stored.scale = nullptr;
    }
    tensors.push_back({std::move(spec), stored});
  }
  return tensors;
}

}  // namespace fathom::models::deepseek_v3
