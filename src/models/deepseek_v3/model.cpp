#include "models/deepseek_v3/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "models/deepseek_v3/forward/block.h"
#include "models/deepseek_v3/forward/head.h"
#include "models/deepseek_v3/forward/memory_plan.h"
#include "models/deepseek_v3/forward/rank_exchange.h"

namespace fathom::models::deepseek_v3 {

Result<std::unique_ptr<Model>> Model::load(std::shared_ptr<const TensorSource> source,
                                           const Config& config, device::Device& device,
                                           const RunLimits& limits, const LoadOptions& options) {
  FATHOM_ASSIGN(Weights weights, load_weights(std::move(source), config, device, options));
  auto model = std::unique_ptr<Model>(
      new Model(config, whole_of(config), Ranks{}, device, limits, std::move(weights)));
  FATHOM_TRY(model->plan_memory());
  FATHOM_TRY(model->plan_experts({}));
  FATHOM_TRY(model->record_steps());
  return model;
}

Result<std::unique_ptr<Model>> Model::load_shard(std::shared_ptr<const TensorSource> source,
                                                 const ShardPlan& plan, comm::Group& world,
                                                 device::Device& device, const RunLimits& limits,
                                                 const LoadOptions& options) {
  FATHOM_ASSIGN(Ranks ranks, Ranks::join(world, plan.layout()));
  std::unique_ptr<RankLinks> links;
  if (!ranks.alone()) {  // before what may fail on one rank alone
    FATHOM_ASSIGN(links, RankLinks::make(device, ranks, plan.config(), plan.layout(), limits));
  }
  FATHOM_ASSIGN(Weights weights, load_weights(source, plan, world.rank(), device, options));
  auto model =
      std::unique_ptr<Model>(new Model(plan.config(), shard_of(plan, world.rank()),
                                       std::move(ranks), device, limits, std::move(weights)));
  model->links_ = std::move(links);
  model->plan_ = plan;
  FATHOM_TRY(model->plan_memory());
  FATHOM_TRY(model->plan_experts({.source = std::move(source),
                                  .plan = &*model->plan_,
                                  .load = {.format = options.format, .threads = options.threads}}));
  FATHOM_TRY(model->record_steps());
  return model;
}

// A step that failed may have left work behind, which reads and writes what ends here.
Model::~Model() {
  links_.reset();  // what waits for other ranks ends
  if (const auto ended = device_.synchronize(); !ended) log_error("{}", ended.error().message);
}

Status Model::plan_memory() {
  const size_t kv_bytes = kv_block_bytes(config_, shard_, device_, limits_) *
                          static_cast<size_t>(cached_blocks(device_, limits_));
  FATHOM_ASSIGN(kv_arena_, device_.alloc_arena(kv_bytes, "the KV cache"));
  caches_ = plan_caches(config_, shard_, device_, limits_, kv_arena_);
  kv_blocks_.emplace(config_, limits_, caches_, device_);

  FATHOM_ASSIGN(const WorkspacePlan plan,
                WorkspacePlan::make(config_, shard_, weights_, device_, limits_));
  FATHOM_ASSIGN(workspace_arena_, device_.alloc_arena(plan.bytes, "activations"));
  FATHOM_ASSIGN(buffers_, plan.take(workspace_arena_, device_));
  if (limits_.may_draft && weights_.mtp) {
    mtp_.emplace(*weights_.mtp, caches_.back(), buffers_.hidden);
  }
  return plan_steps();
}

Status Model::plan_experts(ExpertBalancer::Origin origin) {
  if (config_.n_routed_experts == 0) return {};
  const auto layers = static_cast<int64_t>(caches_.size());
  FATHOM_ASSIGN(counts_, ExpertCounts::make(device_, buffers_.expert_loads, layers,
                                            config_.n_routed_experts));
  if (shard_.layout.stage_ranks() > 1) FATHOM_TRY(plan_exchange(layers));
  balancer_.emplace(ExpertBalancer::Rank{.config = config_,
                                         .shard = shard_,
                                         .ranks = ranks_,
                                         .device = device_,
                                         .layers = layers,
                                         .weights = weights_,
                                         .counts = *counts_,
                                         .exchange = exchange_ ? &*exchange_ : nullptr},
                    std::move(origin));
  return {};
}

Status Model::plan_exchange(int64_t layers) {
  const int64_t rows = limits_.max_step_tokens;
  const bool can =
      links_->on_stream() && ExpertExchange::can_dispatch(device_, config_, shard_, rows);
  FATHOM_ASSIGN(const bool all_can, links_->all_ranks("moe_dispatch", can));
  fathom_comm* chips = all_can ? links_->data().chips() : nullptr;
  FATHOM_ASSIGN(exchange_, ExpertExchange::make(device_, config_, shard_, buffers_.exchange, rows,
                                                layers, chips));
  if (ranks_.world->rank() == 0) log_info("experts: {}", exchange_->way());
  return {};
}

Status Model::record_steps() {
  if (!ranks_.alone() || !device_.graphs()) return {};
  FATHOM_ASSIGN(graphs_, StepGraphs::record(device_, limits_, [this](const StepBucket& bucket) {
                  const StepInputs in = metadata_.front().inputs_of(bucket);
                  Step step = step_of(in, 0, bucket.rows, 0, bucket.logit_rows);
                  return queue_forward(step, nullptr);
                }));
  return {};
}

Result<Step> Model::lay_out_step(const StepBatch& batch, std::span<const int32_t> sources,
                                 const LogitRows* kept, int64_t first_row, int64_t first_logit) {
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  const auto logit_rows =
      shard_.is_last() ? static_cast<int64_t>(batch.logit_rows.size()) : int64_t{0};
  FATHOM_CHECK(rows > 0 || !ranks_.alone(), "step: expected rows");
  FATHOM_CHECK(
      batch.positions.size() == batch.tokens.size() && batch.slots.size() == batch.tokens.size(),
      "step: expected a position and a slot for each token");
  if (exchange_) {
    FATHOM_TRY(exchange_->begin_step(ranks_, rows, kept != nullptr ? kept->count() : rows));
  }
  turn_ = (turn_ + 1) % metadata_.size();
  FATHOM_ASSIGN(const StepInputs in, metadata_[turn_].upload(batch, sources, kept));
  return step_of(in, first_row, rows, first_logit, logit_rows);
}

Step Model::step_of(const StepInputs& in, int64_t first_row, int64_t rows, int64_t first_logit,
                    int64_t logit_rows) {
  return {.ops = {device_, buffers_.scratch, buffers_.scratch_bytes},
          .config = config_,
          .shard = shard_,
          .ranks = ranks_,
          .links = links_.get(),
          .exchange = exchange_ ? &*exchange_ : nullptr,
          .counts = counts_ ? &*counts_ : nullptr,
          .layer = 0,
          .mla = mla_shape(config_, shard_.heads),
          .at = cut(buffers_, first_row, rows, first_logit, logit_rows),
          .in = in,
          .given = in.sequences[kGiven],
          .generated = in.sequences[kGenerated]};
}

Status Model::queue_step(const StepBatch& batch) {
  if (microbatches_ == 1) return queue_rows(batch, 0, 0);
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  int64_t logit = 0;
  for (int64_t i = 0; i < microbatches_; ++i) {
    const int64_t begin = rows * i / microbatches_;
    rows_.cut(batch, begin, rows * (i + 1) / microbatches_);
    FATHOM_TRY(queue_rows(rows_.batch(), begin, logit));
    if (shard_.is_last()) logit += static_cast<int64_t>(rows_.batch().logit_rows.size());
  }
  return {};
}

Status Model::queue_rows(const StepBatch& batch, int64_t first_row, int64_t first_logit) {
  kept_.keep_all();
  if (const RecordedStep* recorded = graphs_.find(batch)) return queue_recorded(batch, *recorded);
  // The MTP layer goes on from every row.
  const bool some = shard_.is_last() && !can_draft() && kept_.choose(batch);
  const LogitRows* kept = some ? &kept_ : nullptr;
  FATHOM_ASSIGN(Step step, lay_out_step(batch, {}, kept, first_row, first_logit));
  FATHOM_TRY(take_drawn(batch, step.in.tokens));
  FATHOM_TRY(queue_forward(step, kept));
  // What ranks exchange is laid out anew by the next rows.
  return ranks_.alone() ? Status() : wait();
}

Status Model::queue_recorded(const StepBatch& batch, const RecordedStep& recorded) {
  turn_ = (turn_ + 1) % metadata_.size();
  FATHOM_TRY(metadata_[turn_].upload_padded(batch, recorded.bucket));
  FATHOM_TRY(take_drawn(batch, metadata_[turn_].inputs_of(recorded.bucket).tokens));
  return device_.launch(recorded.graph);
}

Status Model::take_drawn(const StepBatch& batch, int32_t* tokens) {
  const auto is_drawn = [](int32_t token) { return token <= kFirstDrawn; };
  if (std::ranges::none_of(batch.tokens, is_drawn)) return {};
  const int64_t max_drawn = limits_.max_logit_rows;
  if (!takes_tokens_) {
    return ops::copy_tokens(device_, batch.tokens, tokens, buffers_.drawn, max_drawn);
  }
  ops::Context context = {device_, buffers_.scratch, buffers_.scratch_bytes};
  return ops::take_tokens(context, batch.tokens, tokens, buffers_.drawn, max_drawn);
}

Status Model::queue_forward(Step& step, const LogitRows* kept) {
  if (shard_.is_first()) {
    FATHOM_TRY(embed(step, weights_.embed, step.at.residual));  // [T, H]
  } else {
    FATHOM_TRY(receive_stream(step));  // [T, H]
  }
  StreamInput input = StreamInput::kResidualOnly;
  for (size_t layer = 0; layer < weights_.blocks.size(); ++layer) {
    step.layer = static_cast<int64_t>(layer);
    const bool last = layer + 1 == weights_.blocks.size();
    if (last && exchange_) exchange_->begin_last_block();
    FATHOM_TRY(block(step, weights_.blocks[layer], caches_[layer], input, last ? kept : nullptr));
    input = StreamInput::kResidualPlusX;
  }
  if (!shard_.is_last()) return send_stream(step);
  return head(step, weights_.norm, weights_.head);  // [L, vocab]
}

Result<std::span<const float>> Model::draft(const StepBatch& batch, std::span<const int32_t> rows) {
  auto logits = run_draft(batch, rows);
  if (!logits) return abandon(logits.error());
  return logits;
}

Result<std::span<const float>> Model::run_draft(const StepBatch& batch,
                                                std::span<const int32_t> rows) {
  FATHOM_CHECK(can_draft(), "draft: expected a model that drafts");
  FATHOM_CHECK(rows.size() == batch.tokens.size(), "draft: expected a hidden state for each token");
  FATHOM_CHECK(in_flight_ == 0, "draft: expected no step in flight");
  const auto sources = mtp_->sources(rows, kept_);
  const LogitRows* kept = kept_.choose(batch) ? &kept_ : nullptr;
  FATHOM_ASSIGN(Step step, lay_out_step(batch, sources, kept, 0, 0));
  step.layer = static_cast<int64_t>(weights_.blocks.size());
  const int64_t logit_rows = step.at.logits.shape[0];
  FATHOM_TRY(mtp_->queue(step, kept));
  FATHOM_TRY(gather_logits(logit_rows));
  FATHOM_TRY(results_.fetch_logits(0, shard_.draws() ? logit_rows : 0));
  FATHOM_TRY(wait());
  return results_.logits();
}

std::vector<int64_t> Model::kv_layers() const {
  if (!plan_) return {static_cast<int64_t>(caches_.size())};
  std::vector<int64_t> layers;
  for (const Range& stage : plan_->stages()) layers.push_back(stage.size());
  layers.back() += config_.num_nextn_predict_layers;
  return layers;
}

}  // namespace fathom::models::deepseek_v3
