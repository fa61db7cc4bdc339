// Sequences that a model generates from step by step, each with other parameters of sampling: the
// calls that an engine makes, for comparing what is drawn where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/causal_lm.h"
#include "sampling/reference.h"

namespace fathom {

inline models::RunLimits generation_limits() {
  return {.max_step_tokens = 128,
          .max_logit_rows = 16,
          .max_context = 128,
          .max_step_sequences = 16,
          .num_kv_blocks = 64,
          .kv_block_size = 16};
}

// What sequences are drawn with; every feature of the rule is at work in one.
inline std::vector<sampling::Parameters> various_parameters() {
  std::vector<sampling::Parameters> all(9);
  all[0].temperature = 0;
  all[1].temperature = 1.2f;
  all[2].top_p = 0.9f;
  all[3].top_k = 5;
  all[3].min_p = 0.02f;
  all[4].temperature = 0;
  all[4].presence_penalty = 0.8f;
  all[4].frequency_penalty = 0.5f;
  all[5].repetition_penalty = 1.4f;
  all[6].logit_bias = {{7, 3.0f}, {300, 9.0f}, {7, 5.5f}, {12, -4.0f}};
  all[7].temperature = 1.5f;  // within a mask
  all[8].temperature = 0;     // with banned tokens
  return all;
}

class Generation {
 public:
  explicit Generation(models::CausalLm& model,
                      const std::vector<sampling::Parameters>& params = various_parameters())
      : model_(model) {
    int32_t block = 0;
    for (const sampling::Parameters& each : params) {
      Sequence& sequence = sequences_.emplace_back();
      const auto number = static_cast<int32_t>(sequences_.size());
      sequence.params = each;
      sequence.seed = 1000 + static_cast<uint64_t>(number);
      sequence.given = 3 + number;
      for (int32_t i = 0; i < sequence.given; ++i) {
        sequence.tokens.push_back((number * 131 + i * 37 + 11) % 400);
      }
      for (int i = 0; i < 4; ++i) sequence.blocks.push_back(block++);
    }
    const auto rows = static_cast<size_t>(model.limits().max_step_tokens);
    tokens_.reserve(rows);
    positions_.reserve(rows);
    slots_.reserve(rows);
    logit_rows_.reserve(sequences_.size());
    rows_.reserve(sequences_.size());
    parts_.reserve(sequences_.size());
    draws_.reserve(sequences_.size());
    for (Sequence& sequence : sequences_) {
      sequence.tokens.reserve(sequence.tokens.size() + 64);
      sequence.mask.resize(static_cast<size_t>(model.vocab_size() + 31) / 32);
      sequence.banned.resize(2);
    }
  }

  size_t size() const { return sequences_.size(); }

  // Step 0 reads the prompts, step n the token that the step before it drew. What is drawn of
  // every step goes behind the sequences' tokens.
  Status run(int64_t steps) {
    for (int64_t n = 0; n < steps; ++n) {
      FATHOM_TRY(model_.begin_step(batch(n, false)));
      FATHOM_TRY(model_.begin_draws(draws()));
      FATHOM_TRY(take_in());
    }
    return {};
  }
  // Likewise, each step begun before the one before it is finished.
  Status run_two_in_flight(int64_t steps) {
    FATHOM_TRY(model_.begin_step(batch(0, false)));
    FATHOM_TRY(model_.begin_draws(draws()));
    for (int64_t n = 1; n < steps; ++n) {
      FATHOM_TRY(model_.begin_step(batch(n, true)));
      FATHOM_TRY(take_in());
      FATHOM_TRY(model_.begin_draws(draws()));
    }
    return take_in();
  }
  // Likewise from all logits, by the rule's oracle.
  Status run_by_oracle(int64_t steps) {
    const auto vocab = static_cast<size_t>(model_.vocab_size());
    for (int64_t n = 0; n < steps; ++n) {
      FATHOM_ASSIGN(const auto logits, model_.forward(batch(n, false)));
      const auto all = draws();
      for (size_t s = 0; s < size(); ++s) {
        const auto token =
            sampling::reference_sample(logits.subspan(s * vocab, vocab), all.draws[s]);
        sequences_[s].tokens.push_back(token.value_or(-1));
      }
    }
    return {};
  }

  models::StepBatch batch(int64_t n, bool drawn) {
    tokens_.clear();
    positions_.clear();
    slots_.clear();
    logit_rows_.clear();
    parts_.clear();
    for (size_t s = 0; s < size(); ++s) add(s, n, drawn);
    models::StepBatch batch;
    batch.tokens = tokens_;
    batch.positions = positions_;
    batch.slots = slots_;
    (n == 0 ? batch.given : batch.generated) = parts_;
    batch.logit_rows = logit_rows_;
    return batch;
  }
  // Of the next token of each sequence.
  models::StepDraws draws(std::span<const int32_t> read = {}) {
    draws_.clear();
    rows_.clear();
    for (size_t s = 0; s < size(); ++s) {
      Sequence& sequence = sequences_[s];
      sampling::Draw draw = {.params = sequence.params,
                             .tokens = sequence.tokens,
                             .generated_from = sequence.given,
                             .banned = {},
                             .mask = {},
                             .seed = sequence.seed};
      if (s == 7) draw.mask = mask_behind(sequence);
      if (s == 8) draw.banned = banned_behind(sequence);
      draws_.push_back(draw);
      rows_.push_back(static_cast<int32_t>(s));
    }
    return {.draws = draws_, .rows = rows_, .read = read};
  }

  std::vector<std::vector<int32_t>> answers() const {
    std::vector<std::vector<int32_t>> all;
    for (const Sequence& sequence : sequences_) {
      all.emplace_back(sequence.tokens.begin() + sequence.given, sequence.tokens.end());
    }
    return all;
  }

 private:
  struct Sequence {
    sampling::Parameters params;
    uint64_t seed = 0;
    int64_t given = 0;
    std::vector<int32_t> tokens;
    std::vector<int32_t> blocks;
    std::vector<uint32_t> mask;
    std::vector<int32_t> banned;
  };

  void add(size_t s, int64_t n, bool drawn) {
    const Sequence& sequence = sequences_[s];
    const int64_t begin = n == 0 ? 0 : sequence.given + n - 1;
    const int64_t end = sequence.given + n;
    parts_.push_back({static_cast<int64_t>(tokens_.size()), end - begin, begin, sequence.blocks});
    for (int64_t row = begin; row < end; ++row) {
      const auto block = sequence.blocks[static_cast<size_t>(row / 16)];
      tokens_.push_back(drawn ? models::kFirstDrawn - static_cast<int32_t>(s)
                              : sequence.tokens[static_cast<size_t>(row)]);
      positions_.push_back(static_cast<int32_t>(row));
      slots_.push_back(int64_t{block} * 16 + row % 16);
    }
    logit_rows_.push_back(static_cast<int32_t>(tokens_.size()) - 1);
  }

  // Another mask after each token: a third of the tokens.
  static std::span<const uint32_t> mask_behind(Sequence& sequence) {
    const auto last = static_cast<uint32_t>(sequence.tokens.back());
    for (size_t word = 0; word < sequence.mask.size(); ++word) {
      sequence.mask[word] = 0x49249249u << (last + word) % 3;
    }
    return sequence.mask;
  }
  // The last two tokens.
  static std::span<const int32_t> banned_behind(Sequence& sequence) {
    sequence.banned.assign(sequence.tokens.end() - 2, sequence.tokens.end());
    return sequence.banned;
  }

  Status take_in() {
    FATHOM_ASSIGN(const models::StepResult result, model_.finish_step());
    for (size_t s = 0; s < size(); ++s) sequences_[s].tokens.push_back(result.tokens[s]);
    return {};
  }

  models::CausalLm& model_;
  std::vector<Sequence> sequences_;
  std::vector<int32_t> tokens_, positions_, logit_rows_, rows_;
  std::vector<int64_t> slots_;
  std::vector<models::SequenceRows> parts_;
  std::vector<sampling::Draw> draws_;
};

}  // namespace fathom
