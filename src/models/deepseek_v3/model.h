// DeepSeek-V3 and R1 on one device: embedding, blocks, head, and the MTP layer.
//
// Architecture: DeepSeek-V3 paper (arXiv 2412.19437), section 2; DeepSeek-V2 paper (2405.04434),
// section 2.1 for latent attention.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/config.h"
#include "models/deepseek_v3/cost.h"
#include "models/deepseek_v3/step.h"
#include "models/deepseek_v3/weights.h"

namespace fathom::models::deepseek_v3 {

class Model final : public CausalLm {
 public:
  // Loads the weights and plans all memory. `device` must outlive the model.
  static Result<std::unique_ptr<Model>> load(std::shared_ptr<const TensorSource> source,
                                             const Config& config, device::Device& device,
                                             const RunLimits& limits, const LoadOptions& options);

  int64_t vocab_size() const override { return config_.vocab_size; }
  const RunLimits& limits() const override { return limits_; }
  Result<std::span<const float>> forward(const StepBatch& batch) override;

  CostModel cost() const { return CostModel(config_, weights_, limits_.kv_dtype); }

  // By the MTP layer; behind its own output, too, where more than one token is drafted.
  bool can_draft() const override { return weights_.mtp.has_value(); }
  Result<std::span<const float>> draft(const StepBatch& batch,
                                       std::span<const int32_t> rows) override;

 private:
  Model(const Config& config, device::Device& device, const RunLimits& limits, Weights weights)
      : config_(config), device_(device), limits_(limits), weights_(std::move(weights)) {}

  Status plan_memory();
  Step begin_step(const StepBatch& batch);
  Status upload(const StepBatch& batch, const Step& step);
  Result<std::span<const float>> head(Step& step, const Tensor& hidden, const Weight& weight);

  Config config_;
  device::Device& device_;
  RunLimits limits_;
  Weights weights_;

  device::Arena kv_arena_;         // [layers + MTP][blocks, block_size, latent]
  device::Arena workspace_arena_;  // activations of one step, and the kernels' scratch
  std::vector<fathom_kv_cache> caches_;
  StepBuffers buffers_ = {};
  std::vector<float> host_logits_;  // where the chip's memory is not the host's
};

// Bytes that one KV block takes over all layers, for choosing how many there are.
size_t kv_block_bytes(const Config& config, const device::Device& device, const RunLimits& limits);

}  // namespace fathom::models::deepseek_v3
