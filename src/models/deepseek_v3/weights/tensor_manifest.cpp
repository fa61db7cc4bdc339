#include "models/deepseek_v3/weights/tensor_manifest.h"

#include <fmt/format.h>

#include <cmath>

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

// Without files to hold it against, a config may say anything.
Status check_size(const Config& config) {
  const auto size = [](auto value) { return static_cast<double>(value); };
  const double layers = size(config.num_hidden_layers + config.num_nextn_predict_layers);
  const double tensors = layers * (3 * size(config.n_routed_experts) + 20);
  const double hidden = size(config.hidden_size);
  const double inner = size(config.moe_intermediate_size);
  const double heads = size(config.num_attention_heads);
  const double numbers =
      4 * size(config.vocab_size) * hidden +
      layers * (hidden * (3 * size(config.intermediate_size) +
                          3 * inner * size(config.n_routed_experts + config.n_shared_experts)) +
                heads * size(config.q_head_dim() + config.v_head_dim) *
                    (hidden + size(config.q_lora_rank) + size(config.kv_lora_rank)));
  if (tensors <= 4e6 && numbers <= std::ldexp(1.0, 50)) return {};
  return Error{ErrorCode::kUnsupported,
               fmt::format("config.json: expected a model of at most 4 million tensors and 2^50 "
                           "numbers, got about {:.3g} and {:.3g}",
                           tensors, numbers)};
}

}  // namespace

Result<std::vector<ManifestEntry>> tensor_manifest(const Config& config) {
  FATHOM_TRY(check_size(config));
  std::vector<ManifestEntry> tensors;
  for (auto& spec : list_tensors(config)) {
    const Weight stored = spec.is_vector() ? stored_vector(spec) : stored_matrix(config, spec);
    tensors.push_back({std::move(spec), stored});
  }
  return tensors;
}

Result<std::vector<ManifestEntry>> tensor_manifest(const Config& config,
                                                   const TensorSource& source) {
  FATHOM_TRY(check_size(config));
  std::vector<ManifestEntry> tensors;
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
