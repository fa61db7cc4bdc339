// The weights of a DeepSeek-V3 model on one device, under the names of the published reference
// (wq_a, kv_norm, wkv_b, w1, ...). A matrix is used where a mapped file holds it if the chip can
// read host memory in rows; it is packed, requantised or copied if not. Vectors are widened to F32.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config.h"
#include "models/tensor_source.h"
#include "models/weight_report.h"

namespace fathom::models::deepseek_v3 {

class ShardPlan;
using device::Weight;

struct MlaWeights {
  Weight wq = {};                  // [heads * (nope + rope), H]; without q_lora
  Weight wq_a = {};                // [q_lora, H]; with q_lora, as the next two
  const float* q_norm = nullptr;   // [q_lora]
  Weight wq_b = {};                // [heads * (nope + rope), q_lora]
  Weight wkv_a = {};               // [kv_lora + rope, H]
  const float* kv_norm = nullptr;  // [kv_lora]
  Weight wkv_b = {};               // [heads * (nope + v), kv_lora]
  Weight wo = {};                  // [H, heads * v]
};

// SwiGLU: w2 (silu(w1 x) * w3 x).
struct MlpWeights {
  Weight w1 = {};  // gate [I, H]
  Weight w2 = {};  // down [H, I]
  Weight w3 = {};  // up [I, H]
};

struct MoeWeights {
  Weight gate = {};                // router [experts, H]
  const float* bias = nullptr;     // e_score_correction_bias [experts], or null
  std::vector<Weight> w1, w2, w3;  // one an expert: of a rank, its own
  fathom_expert* table = nullptr;  // [experts] of the same, in the chip's memory (expert_table.h)
  std::optional<MlpWeights> shared;
};

struct BlockWeights {
  const float* attn_norm = nullptr;  // [H]
  MlaWeights attn;
  const float* ffn_norm = nullptr;  // [H]
  std::optional<MlpWeights> mlp;    // exactly one of the two
  std::optional<MoeWeights> moe;
};

// Multi-token prediction (DeepSeek-V3 paper, section 2.2).
struct MtpWeights {
  Weight embed = {};             // [vocab, H]
  const float* enorm = nullptr;  // [H]
  const float* hnorm = nullptr;  // [H]
  Weight eh_proj = {};           // [H, 2 H]: embedding half first
  BlockWeights block;
  const float* norm = nullptr;  // [H]
  Weight head = {};             // [vocab, H]
};

// Bytes read so far, of how many. Called now and then while loading, on the caller's thread.
using LoadProgress = std::function<void(size_t done, size_t total)>;

struct LoadOptions {
  WeightFormat format = WeightFormat::kAsStored;
  int threads = 0;                 // 0: one a core
  WeightReport* report = nullptr;  // hears of each requantised tensor
  LoadProgress progress = {};
};

struct Weights {
  Weight embed = {};  // [vocab, H]
  std::vector<BlockWeights> blocks;
  const float* norm = nullptr;  // [H]
  Weight head = {};             // [vocab, H]
  std::optional<MtpWeights> mtp;
  size_t bytes = 0;  // of all of them

  // Owners of what the above points into.
  std::shared_ptr<const TensorSource> source;
  device::Arena arena;
  device::Arena expert_tables;

  // Errors name the file or tensor, what was expected and what is there.
  static Result<Weights> load(std::shared_ptr<const TensorSource> source, const Config& config,
                              device::Device& device, const LoadOptions& options);
  // Of one rank: the blocks of its stage, with its part of each matrix and its own experts in the
  // order of ShardPlan::experts(). What the rank has no part of is empty.
  static Result<Weights> load_share(std::shared_ptr<const TensorSource> source,
                                    const ShardPlan& plan, int64_t rank, device::Device& device,
                                    const LoadOptions& options);
};

// One expert's three matrices, for one rank, with their owners.
struct LoadedExpert {
  MlpWeights weights;
  std::shared_ptr<const TensorSource> source;
  device::Arena arena;

  static Result<LoadedExpert> load(std::shared_ptr<const TensorSource> source,
                                   const ShardPlan& plan, int64_t rank, int64_t layer,
                                   int64_t expert, device::Device& device,
                                   const LoadOptions& options);
};

}  // namespace fathom::models::deepseek_v3
