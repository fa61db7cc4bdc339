// Steps from the outside: what is in flight, what is drawn and what the host gets of it.
#include <algorithm>

#include "base/log.h"
#include "models/deepseek_v3/model.h"
#include "sampling/contract_draw.h"

namespace fathom::models::deepseek_v3 {

Status Model::plan_steps() {
  for (StepMetadata& metadata : metadata_) {
    FATHOM_ASSIGN(metadata, StepMetadata::make(device_, buffers_.metadata, limits_, shard_.tokens,
                                               config_.vocab_size));
  }
  const Tensor& logits = buffers_.all_logits;
  const Tensor none = device::rows(logits, 0, 0);
  FATHOM_ASSIGN(results_,
                StepResults::make(device_, buffers_.drawn, shard_.draws() ? logits : none));
  if (!shard_.draws()) return {};
  sampler_.emplace(vocab_size());
  draw_rows_.reserve(static_cast<size_t>(limits_.max_logit_rows));
  draws_on_chip_ = ops::can_sample(device_, logits, limits_.max_logit_rows);
  const bool speaks = shard_.place.data == 0;
  if (!draws_on_chip_ && speaks) {
    log_info("chip {}: it has no operator sample: logits are copied and the host draws",
             device_.backend().name);
  }
  if (!draws_on_chip_ && ranks_.alone()) return {};
  FATHOM_ASSIGN(draw_lists_,
                DrawLists::make(device_, buffers_.draws, limits_.max_logit_rows, vocab_size()));
  if (!ranks_.alone()) return {};
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

template <typename Queue>
Status Model::begin_draws(bool has_draws, std::span<const int32_t> read, const Queue& queue) {
  FATHOM_CHECK(in_flight_ == 1 && !draws_begun_, "draws: expected the step before finished");
  const auto queue_all = [&]() -> Status {
    if (has_draws) FATHOM_TRY(gather_logits(logit_rows_));
    if (shard_.draws()) {
      FATHOM_TRY(queue());
      FATHOM_TRY(results_.fetch_logits(read));
    }
    return results_.mark();
  };
  if (const auto queued = queue_all(); !queued) return abandon(queued.error());
  draws_begun_ = true;
  return {};
}

Status Model::begin_draws(const StepDraws& draws) {
  FATHOM_CHECK(draws.draws.size() == draws.rows.size(), "draws: expected a row for each");
  const auto exists = [this](int32_t row) { return row >= 0 && row < logit_rows_; };
  FATHOM_CHECK(std::ranges::all_of(draws.rows, exists) && std::ranges::all_of(draws.read, exists),
               "draws: expected rows of logits that the step has");
  const bool has_draws = !draws.draws.empty() || !draws.read.empty();
  return begin_draws(has_draws, draws.read, [&] { return queue_draws(draws); });
}

Status Model::join_draws(bool has_draws) {
  return begin_draws(has_draws, {}, [&] { return queue_draws(StepDraws()); });
}

Status Model::begin_draws(const LaidOutDraws& draws, std::span<const int32_t> read) {
  return begin_draws(true, read, [&]() -> Status {
    const std::span<const std::byte> memory(
        laid_out_draws(), DrawLayout::max_bytes(limits_.max_logit_rows, vocab_size()));
    const auto exists = [this](int32_t row) { return row >= 0 && row < logit_rows_; };
    if (!std::ranges::all_of(read, exists)) {
      return Error{ErrorCode::kDataCorrupt, "draws: expected rows of logits that the step has"};
    }
    if (draws.count > 0) FATHOM_TRY(check_draws(memory, draws, logit_rows_, vocab_size()));
    return queue_draws(draws);
  });
}

Result<StepResult> Model::finish_step() {
  FATHOM_CHECK(draws_begun_, "step: expected one whose draws have begun");
  // Where ranks pass logits to each other, the watch must see who waits.
  const auto reached = links_ ? wait() : results_.wait();
  if (!reached) return abandon(reached.error());
  --in_flight_;
  draws_begun_ = false;
  return StepResult{.tokens = results_.tokens(), .logits = results_.logits()};
}

// Where ranks divide the vocabulary each has some columns: the one that draws gets those of all.
Status Model::gather_logits(int64_t rows) {
  if (!ranks_.tensor || !shard_.is_last() || rows == 0) return {};
  const comm::Tag tag = ranks_.tag("logits");
  const Tensor own = device::rows(buffers_.logits, 0, rows);
  const auto values = [rows](const Range& tokens) {
    return static_cast<size_t>(rows * tokens.size()) * sizeof(float);
  };
  ChipGroup& group = links_->tensor();
  if (!shard_.draws()) return group.send(tag, 0, own.data, values(shard_.tokens));
  const int64_t parts = shard_.layout.tp;
  for (int64_t part = 0; part < parts; ++part) {
    const Range tokens = part_of(vocab_size(), part, parts);
    const Tensor& from = part == 0 ? own : buffers_.arriving_logits;
    if (part > 0) FATHOM_TRY(group.receive(tag, static_cast<int>(part), from.data, values(tokens)));
    const size_t columns = static_cast<size_t>(tokens.size());
    const auto* of_row = static_cast<const float*>(from.data);
    auto* to = static_cast<float*>(buffers_.all_logits.data) + tokens.begin;
    for (int64_t row = 0; row < rows; ++row, of_row += columns, to += vocab_size()) {
      FATHOM_TRY(device_.copy_on_device(to, of_row, columns * sizeof(float)));
    }
  }
  return {};
}

Status Model::queue_draws(const StepDraws& draws) {
  FATHOM_ASSIGN(const bool drawn, draw_on_chip(draws));
  return drawn ? Status() : draw_on_host(draws);
}

Status Model::queue_draws(const LaidOutDraws& draws) {
  const auto count = static_cast<size_t>(draws.count);
  results_.expect_tokens(count);
  if (count == 0) return {};
  if (draws_on_chip_) {
    FATHOM_ASSIGN(const ops::Sample sample, draw_lists_.upload(draws));
    return sample_on_chip(sample);
  }
  const ops::Sample sample = sample_at(draw_lists_.host(), draws);
  const std::span its(sample.draws, count);
  draw_rows_.clear();
  for (const fathom_draw& draw : its) draw_rows_.push_back(draw.logit_row);
  return draw_on_host(draw_rows_, [&](size_t i) {
    return sampling::draw_token(sample, its[i], results_.row(i), sampler_->row);
  });
}

// False where it has no operator for that, or no room for the lists.
Result<bool> Model::draw_on_chip(const StepDraws& draws) {
  const size_t count = draws.draws.size();
  if (count > 0 && !draws_on_chip_) return false;
  results_.expect_tokens(count);
  if (count == 0) return true;
  FATHOM_ASSIGN(const auto sample, draw_lists_.upload(draws));
  if (!sample) return false;
  FATHOM_TRY(sample_on_chip(*sample));
  return true;
}

Status Model::sample_on_chip(const ops::Sample& sample) {
  ops::Context context = {device_, buffers_.scratch, buffers_.scratch_bytes};
  FATHOM_TRY(ops::sample(context, buffers_.all_logits, sample, buffers_.drawn));
  return results_.fetch_tokens();
}

Status Model::draw_on_host(const StepDraws& draws) {
  if (draws_on_chip_ && drawn_on_host_ == 0) {
    log_warning("draws: penalties and biases of a step are more than {} KiB a draw: the host draws",
                DrawLayout::kListBytes >> 10);
  }
  return draw_on_host(draws.rows, [&](size_t i) {
    return sampling::sample(results_.row(i), draws.draws[i], *sampler_);
  });
}

// Waits for the forward pass: behind this call what draws point to is the caller's again.
template <typename Draw>
Status Model::draw_on_host(std::span<const int32_t> rows, const Draw& draw) {
  FATHOM_TRY(results_.fetch_logits(rows));
  FATHOM_TRY(wait());
  const std::span<int32_t> tokens = results_.expect_tokens(rows.size());
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = draw(i).value_or(-1);
  drawn_on_host_ += tokens.size();
  return results_.put_tokens();  // the next step may take them from there
}

}  // namespace fathom::models::deepseek_v3
