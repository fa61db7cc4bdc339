// Which part of which tensor a rank of a layout holds. A stage's ranks hold its layers; the first
// stage the embedding, the last one the final norm, the head and the MTP layer. Within a stage:
//   q_b_proj, q_proj, kv_b_proj   rows, by heads, over tp
//   o_proj                        columns, by heads, over tp
//   gate_proj, up_proj            rows over tp; of an expert over slices()
//   down_proj                     columns over tp; of an expert over slices()
//   embed_tokens, heads           rows, by tokens, over tp
//   norms, q_a_proj, kv_a_proj, gate, eh_proj   whole
// An expert's tensors are where place_experts() puts it; the shared expert is divided as a dense
// MLP, or placed as an expert where layout.shared > 0.
#pragma once

#include <cstdint>
#include <vector>

#include "models/deepseek_v3/sharding/parallel_layout.h"
#include "models/deepseek_v3/sharding/shard_rules.h"
#include "models/deepseek_v3/weights/tensor_manifest.h"

namespace fathom::models::deepseek_v3 {

// What one rank holds of one tensor.
struct TensorPart {
  const ManifestEntry* tensor = nullptr;  // one of the plan's
  Range rows;                             // of [n, k]; or a vector's elements
  Range columns;                          // {0, 0}: a vector
  size_t file_bytes = 0;                  // with scales, as stored
  Weight loaded = {};                     // its loaded format, without data; a vector is [1, n]
  size_t loaded_bytes = 0;                // with scales, in rows
};

class ShardPlan {
 public:
  // Of `tensors`, requantised to `format`. Errors name the number of the layout that does not fit
  // and the nearest that do.
  static Result<ShardPlan> make(const Config& config, const ParallelLayout& layout,
                                std::vector<ManifestEntry> tensors, WeightFormat format);

  const Config& config() const { return config_; }
  const ParallelLayout& layout() const { return layout_; }
  const std::vector<ManifestEntry>& tensors() const { return tensors_; }
  // Layers of each stage, so that its ranks' bytes are as even as can be.
  const std::vector<Range>& stages() const { return stages_; }
  // place_experts().
  const std::vector<std::vector<int64_t>>& experts() const { return experts_; }

  // In the order of tensors(). Valid as long as the plan is.
  std::vector<TensorPart> parts_of(int64_t rank) const;
  // Of one routed expert in one layer of its stage, whether or not experts() has it on this rank.
  std::vector<TensorPart> parts_of_expert(int64_t rank, int64_t layer, int64_t expert) const;

 private:
  using Indices = std::vector<size_t>;  // of tensors_

  ShardPlan(const Config& config, const ParallelLayout& layout, WeightFormat format)
      : config_(config), layout_(layout), format_(format) {}

  void choose_stages();
  void index_tensors();
  bool is_twice(size_t index) const;
  size_t stage_of(int64_t layer) const;
  size_t expert_index(int64_t expert) const;
  TensorPart part(size_t index, const RankPlace& place) const;

  Config config_;
  ParallelLayout layout_;
  WeightFormat format_;
  std::vector<ManifestEntry> tensors_;
  std::vector<Division> divisions_;  // of each tensor
  bool last_stage_embeds_ = false;   // the head or the MTP layer reads the model's embedding
  std::vector<Range> stages_;
  std::vector<std::vector<int64_t>> experts_;
  // Of each stage: the tensors that all its ranks have a part of; those of each expert, the shared
  // one's in the last place.
  std::vector<Indices> common_;
  std::vector<std::vector<Indices>> of_expert_;
};

}  // namespace fathom::models::deepseek_v3
