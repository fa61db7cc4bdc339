// A model over several ranks (docs/parallel.md). Rank 0 has a ParallelModel, which
// the engine calls as any other; the others follow() it: for every call it tells them its plan, all
// make it together, and the ranks with logits send them to rank 0. Ranks whose data index has no
// rows make the call too, for the others' experts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "comm/group.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/step/step_message.h"
#include "sampling/sampler.h"

namespace fathom::models::deepseek_v3 {

class ParallelModel final : public CausalLm {
 public:
  // Of rank 0. `world` must outlive it. Every so many forward passes experts' loads are added up
  // and redundant ones placed anew; 0: never.
  ParallelModel(std::unique_ptr<Model> own, comm::Group& world, int64_t balance_steps);
  // Tells the others that this is the end, unless a call has failed.
  ~ParallelModel() override;

  int64_t vocab_size() const override { return own_->vocab_size(); }
  const RunLimits& limits() const override { return limits_; }
  // After an error every call fails: the ranks are no longer in step. begin_step() runs the step on
  // all ranks and gathers its logits; tokens are drawn here, on rank 0.
  Status begin_step(const StepBatch& batch) override;
  Status begin_draws(const StepDraws& draws) override;
  Result<StepResult> finish_step() override;
  uint64_t copied_to_host() const override { return own_->copied_to_host(); }

  bool can_draft() const override { return own_->config().num_nextn_predict_layers > 0; }
  Result<std::span<const float>> draft(const StepBatch& batch,
                                       std::span<const int32_t> rows) override;
  std::shared_ptr<const ExpertLoads> expert_loads() const override { return loads_; }

  KvBlockFormat kv_block_format() const override;
  // The ranks of each stage have the layers of theirs. A latent is not divided by heads, so the
  // first rank of a data index reads for all.
  Status read_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                        std::span<std::byte> out) override;
  Status write_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                         std::span<const std::byte> in) override;

 private:
  Status call_blocks(StepKind kind, const BlockList& list, const std::function<Status()>& call);
  Status gather_layers(const BlockList& list, std::span<std::byte> out);
  Status scatter_layers(const BlockList& list, std::span<const std::byte> in);
  Result<std::span<const float>> call(StepKind kind, const StepBatch& batch,
                                      std::span<const int32_t> rows);
  Error fail(const Error& error);
  Status balance();
  Status announce(StepKind kind, int64_t microbatches);
  Status announce(std::span<std::byte> message);
  int64_t microbatches() const;
  Status gather(std::span<const float> own);
  Status receive_logits(int rank, size_t first_row, size_t rows);
  void place_logits(std::span<const float> part, const Range& tokens, size_t first_row);
  std::span<float> logit_row(int32_t row);

  std::unique_ptr<Model> own_;
  comm::Group& world_;
  RunLimits limits_;
  StepParts parts_;
  StepMessageWriter writer_;
  const int64_t balance_steps_;
  int64_t since_balance_ = 0;  // forward passes
  std::shared_ptr<const ExpertLoads> loads_;
  int64_t step_ = 0;  // calls made
  std::vector<float> logits_;
  std::vector<int32_t> tokens_;  // drawn
  size_t read_rows_ = 0;         // of logits_, the first
  sampling::SamplerScratch sampler_;
  std::vector<float> received_;    // one rank's part
  std::vector<std::byte> layers_;  // of KV blocks: one stage's
  std::optional<Error> failure_;
};

// What every other rank does: makes rank 0's calls until it says that this is the end. Errors are
// those of the ranks or of the device; the process is to end then.
Status follow(Model& own, comm::Group& world);
// What it does when KV blocks are read or written (parallel_kv.cpp).
Status follow_blocks(Model& own, comm::Group& world, int64_t step, StepKind kind,
                     const BlockList& list);

}  // namespace fathom::models::deepseek_v3
