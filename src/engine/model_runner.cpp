#include "engine/model_runner.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fathom::engine {
namespace {

fathom_sequence part_of(const Sequence& sequence, int64_t query_begin, int64_t begin, int64_t end) {
  return {.query_begin = query_begin,
          .query_count = end - begin,
          .context = begin,
          .block_table = sequence.blocks.data(),
          .block_table_size = static_cast<int64_t>(sequence.blocks.size())};
}

}  // namespace

ModelRunner::ModelRunner(std::unique_ptr<models::CausalLm> model) : model_(std::move(model)) {
  const models::RunLimits& limits = model_->limits();
  tokens_.reserve(static_cast<size_t>(limits.max_step_tokens));
  positions_.reserve(static_cast<size_t>(limits.max_step_tokens));
  slots_.reserve(static_cast<size_t>(limits.max_step_tokens));
  given_.reserve(static_cast<size_t>(limits.max_step_sequences));
  generated_.reserve(static_cast<size_t>(limits.max_step_sequences));
  logit_rows_.reserve(static_cast<size_t>(limits.max_logit_rows));
}

Result<std::span<const float>> ModelRunner::run(std::span<const Chunk> step) {
  tokens_.clear();
  positions_.clear();
  slots_.clear();
  given_.clear();
  generated_.clear();
  logit_rows_.clear();
  for (const Chunk& chunk : step) lay_out(chunk);

  auto logits = model_->forward({.tokens = tokens_,
                                 .positions = positions_,
                                 .slots = slots_,
                                 .given = given_,
                                 .generated = generated_,
                                 .logit_rows = logit_rows_});
  FATHOM_CHECK(!logits.ok() || static_cast<int64_t>(logits->size()) ==
                                   static_cast<int64_t>(logit_rows_.size()) * model_->vocab_size(),
               "forward: expected logits for every row that was asked for");
  return logits;
}

void ModelRunner::lay_out(const Chunk& chunk) {
  const Sequence& sequence = *chunk.sequence;
  const int64_t block_size = model_->limits().kv_block_size;
  const int64_t first = static_cast<int64_t>(tokens_.size());
  const int64_t begin = sequence.computed;
  const int64_t end = begin + chunk.rows;

  for (int64_t row = begin; row < end; ++row) {
    if (sequence.wants_logits(row)) logit_rows_.push_back(static_cast<int32_t>(tokens_.size()));
    const int64_t block = sequence.blocks[static_cast<size_t>(row / block_size)];
    tokens_.push_back(sequence.tokens[static_cast<size_t>(row)]);
    positions_.push_back(static_cast<int32_t>(row));
    slots_.push_back(block * block_size + row % block_size);
  }

  const int64_t border = std::clamp(sequence.given_size, begin, end);
  if (begin < border) given_.push_back(part_of(sequence, first, begin, border));
  if (border < end) generated_.push_back(part_of(sequence, first + border - begin, border, end));
}

}  // namespace fathom::engine
