// The weights of a DeepSeek-V3 model on one device, under the names of the published reference
// (wq_a, kv_norm, wkv_b, w1, ...). A matrix is used where a mapped file holds it if the chip can
// read host memory in rows; it is packed, requantised or copied if not. Vectors are widened to F32.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config/config.h"
#include "models/tensor_source.h"

namespace fathom::models::deepseek_v3 {

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
};

}  // namespace fathom::models::deepseek_v3
