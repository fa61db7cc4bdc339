#include "models/deepseek_v3/rank_staging.h"

#include <algorithm>

namespace fathom::models::deepseek_v3 {

std::span<const int64_t> RowParts::elements(const device::Tensor& x) {
  const auto ranks = static_cast<int64_t>(elements_.size());
  for (int64_t rank = 0; rank < ranks; ++rank) {
    elements_[static_cast<size_t>(rank)] = part_of(x.shape[0], rank, ranks).size() * x.shape[1];
  }
  return elements_;
}

std::span<const size_t> RowParts::bytes(const device::Tensor& x) {
  const size_t width = device::dtype_size(static_cast<fathom_dtype>(x.dtype));
  std::ranges::transform(elements(x), bytes_.begin(),
                         [&](int64_t count) { return static_cast<size_t>(count) * width; });
  return bytes_;
}

Result<RankStaging> RankStaging::make(device::Device& device, const Config& config,
                                      const Layout& layout, int64_t rows) {
  const int64_t widest = std::max({config.hidden_size, config.q_lora_rank, config.latent_dim()});
  const int64_t choices = rows * config.num_experts_per_tok;
  const size_t value = device::dtype_size(device.activation_dtype());
  FATHOM_ASSIGN(Staging of_rows, Staging::make(device, static_cast<size_t>(rows * widest) * value));
  FATHOM_ASSIGN(Staging ids, Staging::make(device, static_cast<size_t>(choices) * sizeof(int32_t)));
  FATHOM_ASSIGN(Staging weights,
                Staging::make(device, static_cast<size_t>(choices) * sizeof(float)));
  return RankStaging{.rows = std::move(of_rows),
                     .expert_ids = std::move(ids),
                     .expert_weights = std::move(weights),
                     .parts = RowParts(layout.tp)};
}

}  // namespace fathom::models::deepseek_v3
