// What is drawn behind the rows of a step: the next token of each sequence, and those behind its
// drafts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/sequence/sequence.h"
#include "models/causal_lm.h"
#include "sampling/rule.h"

namespace fathom::engine {

// How the token after the first `length` ones (drafts among them, or none) is drawn: within what
// the sequence's guide allows, stop tokens too where the sequence may stop. `mask`, a bit a token,
// is written where the guide needs one. Refers to the sequence and to `mask`.
sampling::Draw draw_of(const Sequence& sequence, int64_t length, std::span<uint32_t> mask);

// Of one step. Allocates nothing after it was made.
class Draws {
 public:
  // Room for `most` draws and rows to be read.
  Draws(int64_t most, int64_t vocab_size);

  void clear() { keep(0, 0); }
  // Takes back all but the first so many.
  void keep(int64_t draws, int64_t rows_read);
  // One more draw, as draw_of(), from row `logit_row` of the step's logits.
  void add(const Sequence& sequence, int64_t length, int64_t logit_row);
  // The host is to read a row, which is behind those before.
  void read(int64_t logit_row) { read_.push_back(static_cast<int32_t>(logit_row)); }

  int64_t count() const { return static_cast<int64_t>(draws_.size()); }
  int64_t rows_read() const { return static_cast<int64_t>(read_.size()); }
  // Refers to the sequences, and to what is here until clear().
  models::StepDraws asked() const { return {.draws = draws_, .rows = rows_, .read = read_}; }

 private:
  std::vector<sampling::Draw> draws_;
  std::vector<int32_t> rows_;
  std::vector<int32_t> read_;
  size_t mask_words_;
  std::unique_ptr<uint32_t[]>
      masks_;  // one a draw; the pages of those never used are never touched
};

}  // namespace fathom::engine
