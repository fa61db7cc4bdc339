#include "models/deepseek_v3/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/deepseek_v3/plan.h"

namespace fathom::models::deepseek_v3 {
Result<std::unique_ptr<Model>> Model::load(std::shared_ptr<const TensorSource> source,
                                           const Config& config, device::Device& device,
                                           const RunLimits& limits, const LoadOptions& options) {
  FATHOM_ASSIGN(Weights weights, Weights::load(std::move(source), config, device, options));
  auto model = std::unique_ptr<Model>(
      new Model(config, whole_of(config), Ranks{}, device, limits, std::move(weights)));
  FATHOM_TRY(model->plan_memory());
  return model;
}

Result<std::unique_ptr<Model>> Model::load_share(std::shared_ptr<const TensorSource> source,
                                                 const ShardPlan& plan, comm::Group& world,
                                                 device::Device& device, const RunLimits& limits,
                                                 const LoadOptions& options) {
  if (!device.host_memory() || device.activation_dtype() != FATHOM_F32) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("chip {}: expected host memory and activations in F32 for several "
                             "ranks, got another chip",
                             device.backend().name)};
  }
  FATHOM_ASSIGN(Ranks ranks, Ranks::join(world, plan.layout()));
  FATHOM_ASSIGN(Weights weights, Weights::load_share(source, plan, world.rank(), device, options));
  auto model =
      std::unique_ptr<Model>(new Model(plan.config(), share_of(plan, world.rank()),
                                       std::move(ranks), device, limits, std::move(weights)));
  model->source_ = std::move(source);
  model->plan_ = plan;
  model->load_ = {.format = options.format, .threads = options.threads};
  FATHOM_TRY(model->plan_memory());
  return model;
}

Status Model::plan_memory() {
  const size_t kv_bytes = kv_block_bytes(config_, share_, device_, limits_) *
                          static_cast<size_t>(limits_.num_kv_blocks);
  FATHOM_ASSIGN(kv_arena_, device_.alloc_arena(kv_bytes));
  caches_ = plan_caches(config_, share_, device_, limits_, kv_arena_);

  FATHOM_ASSIGN(const WorkspacePlan plan,
                WorkspacePlan::make(config_, share_, weights_, device_, limits_));
  FATHOM_ASSIGN(workspace_arena_, device_.alloc_arena(plan.bytes));
  FATHOM_ASSIGN(buffers_, plan.take(workspace_arena_, device_));
  if (config_.n_routed_experts > 0 && share_.layout.stage_ranks() > 1) {
    exchange_.emplace(config_, share_, buffers_.exchange, static_cast<int64_t>(caches_.size()));
  }
  if (config_.n_routed_experts > 0 && !ranks_.alone()) {
    counts_.emplace(static_cast<int64_t>(caches_.size()), config_.n_routed_experts);
  }
  if (!device_.host_memory()) {
    host_logits_.resize(static_cast<size_t>(limits_.max_logit_rows * config_.vocab_size));
  }
  return {};
}

Step Model::begin_step(const StepBatch& batch, int64_t first_row, int64_t first_logit) {
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  const auto logit_rows =
      share_.is_last() ? static_cast<int64_t>(batch.logit_rows.size()) : int64_t{0};
  FATHOM_CHECK(rows > 0 || !ranks_.alone(), "step: expected rows");
  FATHOM_CHECK(rows <= limits_.max_step_tokens, "step: more rows than planned for");
  FATHOM_CHECK(logit_rows <= limits_.max_logit_rows, "step: more logit rows than planned for");
  FATHOM_CHECK(
      batch.positions.size() == batch.tokens.size() && batch.slots.size() == batch.tokens.size(),
      "step: expected a position and a slot for each token");
  return {.ops = {device_, buffers_.scratch, buffers_.scratch_bytes},
          .config = config_,
          .share = share_,
          .ranks = ranks_,
          .exchange = exchange_ ? &*exchange_ : nullptr,
          .counts = counts_ ? &*counts_ : nullptr,
          .layer = 0,
          .mla = mla_shape(config_, share_.heads),
          .at = cut(buffers_, first_row, rows, first_logit, logit_rows),
          .given = batch.given,
          .generated = batch.generated};
}

Status Model::upload(const StepBatch& batch, const Step& step) {
  const auto copy = [this](auto* to, const auto& from) {
    return device_.copy_to_device(to, from.data(), from.size_bytes());
  };
  FATHOM_TRY(copy(step.at.tokens, batch.tokens));
  FATHOM_TRY(copy(step.at.positions, batch.positions));
  FATHOM_TRY(copy(step.at.slots, batch.slots));
  return copy(step.at.logit_rows, batch.logit_rows);
}

Result<std::span<const float>> Model::forward(const StepBatch& batch) {
  if (microbatches_ == 1) return forward_rows(batch, 0, 0);
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  size_t values = 0;
  int64_t logit = 0;
  for (int64_t i = 0; i < microbatches_; ++i) {
    const int64_t begin = rows * i / microbatches_;
    rows_.cut(batch, begin, rows * (i + 1) / microbatches_);
    FATHOM_ASSIGN(const auto logits, forward_rows(rows_.batch(), begin, logit));
    values += logits.size();
    if (share_.is_last()) logit += static_cast<int64_t>(rows_.batch().logit_rows.size());
  }
  return std::span<const float>(static_cast<const float*>(buffers_.logits.data), values);
}

Result<std::span<const float>> Model::forward_rows(const StepBatch& batch, int64_t first_row,
                                                   int64_t first_logit) {
  Step step = begin_step(batch, first_row, first_logit);
  FATHOM_TRY(upload(batch, step));
  if (share_.is_first()) {
    FATHOM_TRY(embed(step, weights_.embed, step.at.residual));  // [T, H]
  } else {
    FATHOM_TRY(receive_stream(step));  // [T, H]
  }
  StreamInput input = StreamInput::kResidualOnly;
  kept_.keep_all();
  const KeptRows* kept = nullptr;
  for (size_t layer = 0; layer < weights_.blocks.size(); ++layer) {
    step.layer = static_cast<int64_t>(layer);
    const bool last = share_.is_last() && layer + 1 == weights_.blocks.size();
    // The MTP layer goes on from every row.
    if (last && !can_draft() && kept_.choose(batch)) kept = &kept_;
    FATHOM_TRY(block(step, weights_.blocks[layer], caches_[layer], input, kept));
    input = StreamInput::kResidualPlusX;
  }
  if (!share_.is_last()) {
    FATHOM_TRY(send_stream(step));
    return std::span<const float>();
  }
  return head(step, weights_.norm, weights_.head);  // [L, vocab]
}

Status Model::final_norm(Step& step, const float* weight) {
  auto& at = step.at;
  FATHOM_TRY(ops::add_rms_norm(step.ops, own_rows(step, at.x), own_rows(step, at.residual), weight,
                               config_.rms_norm_eps, own_rows(step, at.hidden)));
  return gather_rows(step, "hidden", at.hidden);
}

Result<std::span<const float>> Model::draft(const StepBatch& batch, std::span<const int32_t> rows) {
  FATHOM_CHECK(can_draft(), "draft: expected a model that drafts");
  FATHOM_CHECK(rows.size() == batch.tokens.size(), "draft: expected a hidden state for each token");
  const MtpWeights& mtp = *weights_.mtp;
  const float eps = config_.rms_norm_eps;
  Step step = begin_step(batch, 0, 0);
  auto& at = step.at;
  FATHOM_TRY(upload(batch, step));
  sources_.clear();
  for (const int32_t row : rows) sources_.push_back(kept_.place_of(row));
  FATHOM_TRY(device_.copy_to_device(at.sources, sources_.data(), rows.size_bytes()));
  FATHOM_TRY(ops::embed(step.ops, at.sources, as_table(buffers_.hidden), at.x));  // [T, H]
  FATHOM_TRY(embed(step, mtp.embed, at.normed));                                  // [own rows, H]
  const Tensor joined = own_rows(step, at.joined);
  FATHOM_TRY(ops::rms_norm(step.ops, own_rows(step, at.normed), mtp.enorm, eps,
                           device::columns(joined, 0, config_.hidden_size)));
  FATHOM_TRY(ops::rms_norm(step.ops, own_rows(step, at.x), mtp.hnorm, eps,
                           device::columns(joined, config_.hidden_size, config_.hidden_size)));
  FATHOM_TRY(ops::linear(step.ops, joined, mtp.eh_proj, own_rows(step, at.residual)));
  step.layer = static_cast<int64_t>(weights_.blocks.size());
  const KeptRows* kept = kept_.choose(batch) ? &kept_ : nullptr;
  FATHOM_TRY(block(step, mtp.block, caches_.back(), StreamInput::kResidualOnly, kept));
  return head(step, mtp.norm, mtp.head);  // [L, vocab]
}

Result<std::span<const float>> Model::head(Step& step, const float* norm, const Weight& weight) {
  auto& at = step.at;
  if (at.hidden.shape[0] > 0) FATHOM_TRY(final_norm(step, norm));  // [T, H]
  if (at.logits.shape[0] == 0) {
    FATHOM_TRY(device_.synchronize());
    return std::span<const float>();
  }
  Tensor logit_hidden = at.hidden;  // [L, H]
  if (at.hidden.shape[0] != at.logits.shape[0]) {
    logit_hidden = at.logit_hidden;
    FATHOM_TRY(ops::embed(step.ops, at.logit_rows, as_table(at.hidden), logit_hidden));
  }
  FATHOM_TRY(ops::linear(step.ops, logit_hidden, weight, at.logits));  // [L, vocab]
  const auto count = static_cast<size_t>(at.logits.shape[0] * at.logits.shape[1]);
  const auto* logits = static_cast<const float*>(at.logits.data);
  if (!device_.host_memory()) {
    FATHOM_TRY(device_.copy_to_host(host_logits_.data(), logits, count * sizeof(float)));
    logits = host_logits_.data();
  }
  FATHOM_TRY(device_.synchronize());
  return std::span<const float>(logits, count);
}

}  // namespace fathom::models::deepseek_v3
