// The draws of a step: the next token of each sequence, and the tokens after its drafts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/sequence/sequence.h"
#include "models/causal_lm.h"
#include "sampling/rule.h"

namespace fathom::engine {

// How the token after the first `length` tokens (drafts included) is drawn: among the tokens that
// the sequence's guide allows, and stop tokens if the sequence may stop. `mask`, one bit per token,
// is written if the guide restricts. The result refers to the sequence and to `mask`.
sampling::Draw draw_of(const Sequence& sequence, int64_t length, std::span<uint32_t> mask);

// The draws of one step. Only the constructor allocates.
class Draws {
 public:
  // `most`: upper bound of draws, and of rows to read.
  Draws(int64_t most, int64_t vocab_size);

  void clear() { keep(0, 0); }
  // Drops all but the first `draws` and `rows_read`.
  void keep(int64_t draws, int64_t rows_read);
  // Adds a draw, as draw_of(), from row `logit_row` of the step's logits.
  void add(const Sequence& sequence, int64_t length, int64_t logit_row);
  // Has the host read a row of logits. Rows must ascend.
  void read(int64_t logit_row) { read_.push_back(static_cast<int32_t>(logit_row)); }

  int64_t count() const { return static_cast<int64_t>(draws_.size()); }
  int64_t rows_read() const { return static_cast<int64_t>(read_.size()); }
  // Refers to the sequences and to this object; valid until clear().
  models::StepDraws asked() const { return {.draws = draws_, .rows = rows_, .read = read_}; }

 private:
  std::vector<sampling::Draw> draws_;
  std::vector<int32_t> rows_;
  std::vector<int32_t> read_;
  size_t mask_words_;
  std::unique_ptr<uint32_t[]> masks_;  // one per draw; pages of unused ones are never touched
};

}  // namespace fathom::engine
