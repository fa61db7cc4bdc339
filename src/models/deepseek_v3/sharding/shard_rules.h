// How each tensor is divided over the ranks of a stage, by its name; and whether its format allows
// that.
#pragma once

#include <vector>

#include "models/deepseek_v3/sharding/parallel_layout.h"
#include "models/deepseek_v3/weights/tensor_manifest.h"

namespace fathom::models::deepseek_v3 {

enum class Cut { kWhole, kRows, kColumns };

constexpr int64_t kNoExpert = -2;
constexpr int64_t kBeforeLayers = -1;

struct Division {
  Cut cut = Cut::kWhole;
  bool over_slices = false;    // over layout.slices() ranks; else over layout.tp
  int64_t layer = 0;           // kBeforeLayers: the embedding; num_hidden_layers: all behind them
  int64_t expert = kNoExpert;  // or what place_experts() places: then not on every rank
};

Division divide(const Config& config, const ParallelLayout& layout, const TensorSpec& spec);

// A part [n, k] of a matrix, as it is loaded in `format`.
Weight loaded_part(const ManifestEntry& tensor, WeightFormat format, int64_t n, int64_t k);

// Whether the layout divides the model (check_layout()), all parts are equally large (those of the
// vocabulary may differ by one row) and a matrix that stays in its format is cut between blocks
// that share a scale.
Status check_cuts(const Config& config, const ParallelLayout& layout,
                  const std::vector<ManifestEntry>& tensors, WeightFormat format);

}  // namespace fathom::models::deepseek_v3
