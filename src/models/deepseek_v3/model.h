// DeepSeek-V3 and R1 on one device: embedding, blocks, head, and the MTP layer; or one rank's shard
// of it.
//
// Architecture: DeepSeek-V3 paper (arXiv 2412.19437), section 2; DeepSeek-V2 paper (2405.04434),
// section 2.1 for latent attention.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/cost.h"
#include "models/deepseek_v3/expert_balancer.h"
#include "models/deepseek_v3/forward/mtp.h"
#include "models/deepseek_v3/forward/step.h"
#include "models/deepseek_v3/kv_blocks.h"
#include "models/deepseek_v3/loading/load_weights.h"
#include "models/deepseek_v3/sharding/shard.h"
#include "models/deepseek_v3/step/batch_slice.h"
#include "models/deepseek_v3/step/draw_lists.h"
#include "models/deepseek_v3/step/staging.h"
#include "models/deepseek_v3/step/step_graphs.h"
#include "models/deepseek_v3/step/step_metadata.h"
#include "models/deepseek_v3/step/step_results.h"
#include "models/deepseek_v3/weights/weights.h"
#include "sampling/sampler.h"

namespace fathom::models::deepseek_v3 {

class Model final : public CausalLm {
 public:
  // Loads the weights and plans all memory. `device` must outlive the model.
  static Result<std::unique_ptr<Model>> load(std::shared_ptr<const TensorSource> source,
                                             const Config& config, device::Device& device,
                                             const RunLimits& limits, const LoadOptions& options);
  // Likewise what this rank of `world` holds by `plan`; `world` must outlive it too. Collective.
  static Result<std::unique_ptr<Model>> load_shard(std::shared_ptr<const TensorSource> source,
                                                   const ShardPlan& plan, comm::Group& world,
                                                   device::Device& device, const RunLimits& limits,
                                                   const LoadOptions& options);

  ~Model() override;

  int64_t vocab_size() const override { return config_.vocab_size; }
  const RunLimits& limits() const override { return limits_; }
  // Every rank of a divided model takes its steps together, with the rows and draws of its own data
  // index, which may be none. The one that shard().draws() gets tokens and logits, for the ranks of
  // its tensor group too; others have none. Likewise draft(), which the ranks of the last stage
  // call.
  int64_t max_steps_in_flight() const override { return max_in_flight_; }
  Status begin_step(const StepBatch& batch) override;
  Status begin_draws(const StepDraws& draws) override;
  // Likewise of draws that another rank has laid out; the memory for them is there on ranks that
  // draw.
  Status begin_draws(const LaidOutDraws& draws, std::span<const int32_t> read);
  std::byte* laid_out_draws() const { return draw_lists_.host(); }
  // And of a rank that draws nothing itself. has_draws: whether its data index has draws or reads.
  Status join_draws(bool has_draws);
  Result<StepResult> finish_step() override;
  uint64_t copied_to_host() const override { return device_.copied_to_host(); }
  ExpertExchanges expert_exchanges() const override {
    return exchange_ ? exchange_->exchanges() : ExpertExchanges();
  }
  // Tokens that the host drew so far: all, where the chip draws none.
  uint64_t drawn_on_host() const { return drawn_on_host_; }

  // ExpertBalancer::balance(); of a model without experts nothing. Every rank calls it.
  Result<ExpertBalance> balance() { return balancer_ ? balancer_->balance() : ExpertBalance(); }
  // Null: there are no experts.
  ExpertBalancer* balancer() { return balancer_ ? &*balancer_ : nullptr; }

  const Config& config() const { return config_; }
  const RankShard& shard() const { return shard_; }
  const Ranks& ranks() const { return ranks_; }
  // Of the next call, on all ranks alike: the step that its tags say, and into how many parts
  // begin_step() divides its rows, one after the other, so that the stages of a pipeline work at
  // once.
  void begin_call(int64_t step, int64_t microbatches) {
    ranks_.step = step;
    microbatches_ = microbatches;
  }
  // Of this rank.
  size_t weight_bytes() const { return weights_.bytes; }
  CostModel cost() const { return {config_, weights_, limits_.kv_dtype, can_draft()}; }

  // By the MTP layer; behind its own output, too, where more than one token is drafted.
  bool can_draft() const override { return mtp_.has_value(); }
  Result<std::span<const float>> draft(const StepBatch& batch,
                                       std::span<const int32_t> rows) override;

  // Of a rank of several: the layers that it caches itself (kv_layers()), of its own data index.
  KvBlockFormat kv_block_format() const override { return kv_blocks_->format(); }
  Status read_kv_blocks(int64_t /*data_index*/, std::span<const int32_t> blocks,
                        std::span<std::byte> out) override {
    return kv_blocks_->read(blocks, out);
  }
  Status write_kv_blocks(int64_t /*data_index*/, std::span<const int32_t> blocks,
                         std::span<const std::byte> in) override {
    return kv_blocks_->write(blocks, in);
  }
  // How many layers each stage caches.
  std::vector<int64_t> kv_layers() const;

 private:
  Model(const Config& config, RankShard shard, Ranks ranks, device::Device& device,
        const RunLimits& limits, Weights weights)
      : config_(config),
        shard_(std::move(shard)),
        ranks_(std::move(ranks)),
        device_(device),
        limits_(limits),
        weights_(std::move(weights)),
        rows_(limits),
        kept_(limits) {}

  Status plan_memory();
  Status plan_steps();
  Status plan_experts(ExpertBalancer::Origin origin);
  // Of `layers` layers whose experts are on several ranks.
  Status plan_exchange(int64_t layers);
  Status record_steps();
  // Over the buffers' rows from first_row on, and logits from first_logit on.
  Step step_of(const StepInputs& in, int64_t first_row, int64_t rows, int64_t first_logit,
               int64_t logit_rows);
  // Puts the step's metadata on the chip. sources: of drafts; kept: the rows that go on through the
  // last block, null where all do. The batch is of the call's rows from first_row on, and its
  // logits of those from first_logit on.
  Result<Step> lay_out_step(const StepBatch& batch, std::span<const int32_t> sources,
                            const LogitRows* kept, int64_t first_row, int64_t first_logit);
  Status queue_step(const StepBatch& batch);
  Status queue_rows(const StepBatch& batch, int64_t first_row, int64_t first_logit);
  Status queue_recorded(const StepBatch& batch, const RecordedStep& recorded);
  // Tokens of the batch that the step before draws, to where its others are.
  Status take_drawn(const StepBatch& batch, int32_t* tokens);
  // From the step's tokens to its logits.
  Status queue_forward(Step& step, const LogitRows* kept);
  Result<std::span<const float>> run_draft(const StepBatch& batch, std::span<const int32_t> rows);
  // For all that is queued.
  Status wait() { return links_ ? links_->wait(ranks_) : device_.synchronize(); }

  // Queues what begin_draws() is for. has_draws: as join_draws() has it.
  template <typename Queue>
  Status begin_draws(bool has_draws, std::span<const int32_t> read, const Queue& queue);
  Status gather_logits(int64_t rows);
  Status queue_draws(const StepDraws& draws);
  Status queue_draws(const LaidOutDraws& draws);
  Result<bool> draw_on_chip(const StepDraws& draws);
  Status sample_on_chip(const ops::Sample& sample);
  Status draw_on_host(const StepDraws& draws);
  template <typename Draw>
  Status draw_on_host(std::span<const int32_t> rows, const Draw& draw);
  // What a failed call leaves: nothing that is in flight.
  Error abandon(const Error& error);

  Config config_;
  RankShard shard_;
  Ranks ranks_;
  device::Device& device_;
  RunLimits limits_;
  Weights weights_;

  device::Arena kv_arena_;         // [layers + MTP][blocks, block_size, latent], or in two planes
  device::Arena workspace_arena_;  // activations of one step, and the kernels' scratch
  std::vector<fathom_kv_cache> caches_;
  StepBuffers buffers_ = {};
  // Steps in flight take turns: one is laid out while the copy of the other may still run. The
  // chip's memory is the same, for it runs them one behind the other.
  std::array<StepMetadata, 2> metadata_;
  size_t turn_ = 0;
  StepResults results_;
  DrawLists draw_lists_;  // where the chip draws, or what to draw comes from another rank
  bool draws_on_chip_ = false;
  bool takes_tokens_ = false;                        // by the chip's operator
  std::optional<sampling::SamplerScratch> sampler_;  // of the host
  uint64_t drawn_on_host_ = 0;
  int64_t max_in_flight_ = 1;
  int64_t in_flight_ = 0;
  int64_t logit_rows_ = 0;                  // of the last step
  bool draws_begun_ = false;                // of the oldest step in flight
  std::unique_ptr<RankLinks> links_;        // where there are several ranks
  std::optional<ExpertExchange> exchange_;  // where experts are on several ranks
  std::optional<ExpertCounts> counts_;      // where there are experts
  StepGraphs graphs_;                       // where the chip is alone and has some
  std::optional<ShardPlan> plan_;           // where it was loaded by one
  std::optional<ExpertBalancer> balancer_;  // where there are experts
  std::optional<MtpLayer> mtp_;             // where it drafts
  std::optional<KvBlocks> kv_blocks_;
  BatchSlice rows_;  // of a microbatch
  LogitRows kept_;   // of the last step or draft, whose hidden states a draft goes on from
  std::vector<int32_t> draw_rows_;  // of draws that came laid out
  int64_t microbatches_ = 1;
};

}  // namespace fathom::models::deepseek_v3
