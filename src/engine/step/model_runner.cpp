#include "engine/step/model_runner.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fathom::engine {
namespace {

models::SequenceRows part_of(const Sequence& sequence, int64_t query_begin, int64_t begin,
                             int64_t end) {
  return {.query_begin = query_begin,
          .query_count = end - begin,
          .context = begin,
          .block_table = sequence.blocks};
}

}  // namespace

ModelRunner::ModelRunner(std::unique_ptr<models::CausalLm> model) : model_(std::move(model)) {
  const models::RunLimits& limits = model_->limits();
  const auto all = [&](int64_t each) { return static_cast<size_t>(each * limits.data_indices); };
  tokens_.reserve(all(limits.max_step_tokens));
  positions_.reserve(all(limits.max_step_tokens));
  slots_.reserve(all(limits.max_step_tokens));
  given_.reserve(all(limits.max_step_sequences));
  generated_.reserve(all(limits.max_step_sequences));
  logit_rows_.reserve(all(limits.max_logit_rows));
  sources_.reserve(all(limits.max_step_tokens));
  data_rows_.resize(static_cast<size_t>(limits.data_indices));
}

Status ModelRunner::begin(std::span<const Chunk> step) {
  clear();
  for (const Chunk& chunk : step) {
    const Sequence& sequence = *chunk.sequence;
    const int64_t end = sequence.computed + chunk.rows;
    for (int64_t row = sequence.computed; row < end; ++row) {
      const auto at = static_cast<int64_t>(tokens_.size()) + row - sequence.computed;
      if (sequence.wants_logits(row)) logit_rows_.push_back(static_cast<int32_t>(at));
    }
    lay_out(sequence, sequence.computed, end, 0);
  }
  return model_->begin_step(batch());
}

Result<models::StepResult> ModelRunner::finish(int64_t draws, int64_t rows_read) {
  auto result = model_->finish_step();
  FATHOM_CHECK(!result.ok() || (static_cast<int64_t>(result->tokens.size()) == draws &&
                                static_cast<int64_t>(result->logits.size()) ==
                                    rows_read * model_->vocab_size()),
               "model: expected a token for every draw and logits for every row to be read");
  return result;
}

Result<std::span<const float>> ModelRunner::draft(std::span<const DraftRows> rows) {
  clear();
  for (const DraftRows& part : rows) {
    for (int64_t i = 0; i < part.end - part.begin; ++i) {
      sources_.push_back(static_cast<int32_t>(part.source + i));
    }
    lay_out(*part.sequence, part.begin, part.end, 1);
    if (part.wants_logits) logit_rows_.push_back(static_cast<int32_t>(tokens_.size()) - 1);
  }
  auto logits = model_->draft(batch(), sources_);
  FATHOM_CHECK(!logits.ok() || static_cast<int64_t>(logits->size()) ==
                                   static_cast<int64_t>(logit_rows_.size()) * model_->vocab_size(),
               "model: expected logits for every row that was asked for");
  return logits;
}

void ModelRunner::clear() {
  tokens_.clear();
  positions_.clear();
  slots_.clear();
  given_.clear();
  generated_.clear();
  logit_rows_.clear();
  sources_.clear();
  std::ranges::fill(data_rows_, 0);
}

// Rows [begin, end), each with the token that stands `ahead` tokens further.
void ModelRunner::lay_out(const Sequence& sequence, int64_t begin, int64_t end, int64_t ahead) {
  const int64_t block_size = model_->limits().kv_block_size;
  const auto first = static_cast<int64_t>(tokens_.size());
  data_rows_[static_cast<size_t>(sequence.replica)] += end - begin;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t block = sequence.blocks[static_cast<size_t>(row / block_size)];
    tokens_.push_back(sequence.tokens[static_cast<size_t>(row + ahead)]);
    positions_.push_back(static_cast<int32_t>(row));
    slots_.push_back(block * block_size + row % block_size);
  }
  const int64_t border = std::clamp(sequence.given_size, begin, end);
  if (begin < border) given_.push_back(part_of(sequence, first, begin, border));
  if (border < end) generated_.push_back(part_of(sequence, first + border - begin, border, end));
}

models::StepBatch ModelRunner::batch() const {
  return {.tokens = tokens_,
          .positions = positions_,
          .slots = slots_,
          .given = given_,
          .generated = generated_,
          .logit_rows = logit_rows_,
          .data_rows = data_rows_};
}

}  // namespace fathom::engine
