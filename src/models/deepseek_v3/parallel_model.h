// A model over several ranks (docs/parallel.md). Rank 0 has a ParallelModel, which
// the engine calls as any other; the others follow() it: for every call it tells them its plan, all
// make it together. Ranks whose data index has no rows make the call too, for the others' experts.
// Each data index's tokens are drawn by one rank of its last stage, which sends them to rank 0, and
// of its logits those rows that are asked for.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "comm/group.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/rank_kv_blocks.h"
#include "models/deepseek_v3/step/draw_parts.h"
#include "models/deepseek_v3/step/step_message.h"
#include "sampling/sampler.h"

namespace fathom::models::deepseek_v3 {

// Of rows of logits on their way to rank 0.
inline constexpr const char* kLogitsTag = "logits";

class ParallelModel final : public CausalLm {
 public:
  // Of rank 0. `world` must outlive it. Every so many forward passes experts' loads are added up
  // and redundant ones placed anew; 0: never.
  ParallelModel(std::unique_ptr<Model> own, comm::Group& world, int64_t balance_steps);
  // Tells the others that this is the end, unless a call has failed.
  ~ParallelModel() override;

  int64_t vocab_size() const override { return own_->vocab_size(); }
  const RunLimits& limits() const override { return limits_; }
  // After an error every call fails: the ranks are no longer in step.
  Status begin_step(const StepBatch& batch) override;
  Status begin_draws(const StepDraws& draws) override;
  Result<StepResult> finish_step() override;
  uint64_t copied_to_host() const override { return own_->copied_to_host(); }

  bool can_draft() const override { return own_->config().num_nextn_predict_layers > 0; }
  Result<std::span<const float>> draft(const StepBatch& batch,
                                       std::span<const int32_t> rows) override;
  std::shared_ptr<const ExpertLoads> expert_loads() const override { return loads_; }
  ExpertExchanges expert_exchanges() const override { return own_->expert_exchanges(); }

  KvBlockFormat kv_block_format() const override { return kv_blocks_.format(); }
  Status read_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                        std::span<std::byte> out) override;
  Status write_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                         std::span<const std::byte> in) override;

 private:
  Status call_blocks(StepKind kind, const BlockList& list, const std::function<Status()>& call);
  Status call(StepKind kind, const StepBatch& batch, std::span<const int32_t> rows,
              const std::function<Status()>& own);
  Error fail(const Error& error);
  Status balance();
  Status announce(StepKind kind, int64_t microbatches);
  Status announce(std::span<std::byte> message);
  int64_t microbatches() const;
  // Of draws (parallel_draws.cpp), by data index.
  Status queue_draws();
  Status send_draws(size_t data);
  Status draw_here(size_t data);
  Status take_result(size_t data, const StepResult& own);
  // So many of the data index's rows, to where there is room for all of them.
  Status take_logits(size_t data, size_t rows, std::span<const float> own);
  std::span<float> logits_at(int64_t row, size_t rows);
  int drawing_rank(size_t data) const;

  std::unique_ptr<Model> own_;
  comm::Group& world_;
  RankKvBlocks kv_blocks_;
  RunLimits limits_;
  StepParts parts_;
  StepMessageWriter writer_;
  const int64_t balance_steps_;
  int64_t since_balance_ = 0;  // forward passes
  std::shared_ptr<const ExpertLoads> loads_;
  int64_t step_ = 0;  // calls made
  DrawParts draws_;
  DrawLayout draw_layout_;
  std::vector<int64_t> first_logits_;  // by data index; of all behind the last
  std::vector<int64_t> has_draws_;     // by data index, for the others
  std::vector<bool> drawn_here_;       // by data index: there is no room for its lists
  std::vector<std::byte> laid_out_;    // one data index's
  std::vector<int32_t> all_rows_;      // 0, 1, ...
  std::vector<float> logits_;          // of all rows, of which those that are read are there
  std::vector<int32_t> tokens_, received_tokens_;  // drawn: all, and one data index's
  sampling::SamplerScratch sampler_;
  std::optional<Error> failure_;
};

// What every other rank does: makes rank 0's calls until it says that this is the end. Errors are
// those of the ranks or of the device; the process is to end then.
Status follow(Model& own, comm::Group& world);
// What it does when tokens are drawn (parallel_draws.cpp).
Status follow_draws(Model& own, comm::Group& world, int64_t step, bool has_draws,
                    std::vector<int32_t>& read);

}  // namespace fathom::models::deepseek_v3
