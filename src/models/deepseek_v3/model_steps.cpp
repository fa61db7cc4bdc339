// Steps from the outside: what is in flight, what is drawn and what the host gets of it.
#include <algorithm>

#include "base/log.h"
#include "models/deepseek_v3/model.h"

namespace fathom::models::deepseek_v3 {

Status Model::plan_steps() {
  for (StepMetadata& metadata : metadata_) {
    FATHOM_ASSIGN(metadata, StepMetadata::make(device_, buffers_.metadata, limits_, shard_.tokens,
                                               config_.vocab_size));
  }
  FATHOM_ASSIGN(results_, StepResults::make(device_, buffers_.drawn, buffers_.logits));
  if (!ranks_.alone()) return {};
  sampler_.emplace(vocab_size());
  draws_on_chip_ = ops::can_sample(device_, buffers_.logits, limits_.max_logit_rows);
  if (!draws_on_chip_) {
    log_info("chip {}: it has no operator sample: logits are copied and the host draws",
             device_.backend().name);
    return {};
  }
  FATHOM_ASSIGN(draw_lists_,
                DrawLists::make(device_, buffers_.draws, limits_.max_logit_rows, vocab_size()));
  if (device_.asynchronous()) max_in_flight_ = 2;
  takes_tokens_ = ops::can_take_tokens(device_);
  if (max_in_flight_ == 2 && !takes_tokens_) {
    log_info("chip {}: it has no operator take_tokens: tokens are copied one by one",
             device_.backend().name);
  }
  return {};
}

Error Model::abandon(const Error& error) {
  const Error why = links_ ? links_->fail(error) : error;
  in_flight_ = 0;
  draws_begun_ = false;
  if (const auto ended = device_.synchronize(); !ended) log_error("{}", ended.error().message);
  return why;
}

Status Model::begin_step(const StepBatch& batch) {
  FATHOM_CHECK(in_flight_ < max_in_flight_, "step: expected fewer steps in flight");
  FATHOM_CHECK(in_flight_ == 0 || draws_begun_, "step: expected the draws of the one before first");
  if (const auto queued = queue_step(batch); !queued) return abandon(queued.error());
  logit_rows_ = static_cast<int64_t>(batch.logit_rows.size());
  ++in_flight_;
  return {};
}

Status Model::begin_draws(const StepDraws& draws) {
  FATHOM_CHECK(in_flight_ == 1 && !draws_begun_, "draws: expected the step before finished");
  FATHOM_CHECK(draws.draws.size() == draws.rows.size(), "draws: expected a row for each");
  const auto exists = [this](int32_t row) { return row >= 0 && row < logit_rows_; };
  FATHOM_CHECK(std::ranges::all_of(draws.rows, exists) && std::ranges::all_of(draws.read, exists),
               "draws: expected rows of logits that the step has");
  if (const auto queued = queue_draws(draws); !queued) return abandon(queued.error());
  draws_begun_ = true;
  return {};
}

Result<StepResult> Model::finish_step() {
  FATHOM_CHECK(draws_begun_, "step: expected one whose draws have begun");
  if (const auto reached = results_.wait(); !reached) return abandon(reached.error());
  --in_flight_;
  draws_begun_ = false;
  return StepResult{.tokens = results_.tokens(), .logits = results_.logits()};
}

Status Model::queue_draws(const StepDraws& draws) {
  FATHOM_ASSIGN(const bool drawn, draw_on_chip(draws));
  if (!drawn) FATHOM_TRY(draw_on_host(draws));
  FATHOM_TRY(results_.fetch_logits(shard_.is_last() ? draws.read : std::span<const int32_t>()));
  return results_.mark();
}

// False where it has no operator for that, or no room for the lists.
Result<bool> Model::draw_on_chip(const StepDraws& draws) {
  const size_t count = draws.draws.size();
  if (count > 0 && !draws_on_chip_) return false;
  results_.expect_tokens(count);
  if (count == 0) return true;
  FATHOM_ASSIGN(const auto sample, draw_lists_.upload(draws));
  if (!sample) return false;
  ops::Context context = {device_, buffers_.scratch, buffers_.scratch_bytes};
  FATHOM_TRY(ops::sample(context, buffers_.logits, *sample, buffers_.drawn));
  FATHOM_TRY(results_.fetch_tokens());
  return true;
}

// Waits for the forward pass: behind this call what `draws` point to is the caller's again.
Status Model::draw_on_host(const StepDraws& draws) {
  FATHOM_CHECK(ranks_.alone(), "draws: expected those of a divided model on rank 0");
  if (draws_on_chip_ && drawn_on_host_ == 0) {
    log_warning("draws: penalties and biases of a step are more than {} KiB a draw: the host draws",
                DrawLists::kListBytes >> 10);
  }
  FATHOM_TRY(results_.fetch_logits(draws.rows));
  FATHOM_TRY(device_.synchronize());
  const std::span<int32_t> tokens = results_.expect_tokens(draws.draws.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = sampling::sample(results_.row(i), draws.draws[i], *sampler_).value_or(-1);
  }
  drawn_on_host_ += tokens.size();
  return results_.put_tokens();  // the next step may take them from there
}

}  // namespace fathom::models::deepseek_v3
