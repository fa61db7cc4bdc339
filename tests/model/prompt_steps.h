// Three prompts that are read, drafted behind and generated from: the calls that the engine makes
// of a model, for comparing what one model answers with another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "models/causal_lm.h"
#include "sampling/reference.h"

namespace fathom {

inline constexpr int64_t kBlockSize = 16;
inline const std::vector<int64_t> kPrompts = {41, 9,
                                              70};  // tokens; more than two microbatches together

inline models::RunLimits prompt_limits() {
  return {.max_step_tokens = 128,
          .max_logit_rows = 16,
          .max_context = 128,
          .max_step_sequences = 8,
          .num_kv_blocks = 16,
          .kv_block_size = kBlockSize};
}

inline int32_t token_at(size_t sequence, int64_t position) {
  return static_cast<int32_t>((static_cast<int64_t>(sequence) * 131 + position * 37 + 11) % 1200);
}

// A step over all sequences: rows [begin, end) of each, in the order of their data indices.
class PromptStep {
 public:
  // Tokens stand `ahead` of their rows; of each sequence the last row's logits are wanted.
  PromptStep(int64_t dp, const std::vector<int64_t>& begins, const std::vector<int64_t>& ends,
             int64_t ahead, bool generated)
      : data_rows_(static_cast<size_t>(dp)), tables_(kPrompts.size()) {
    std::vector<int32_t> blocks(static_cast<size_t>(dp));  // taken, of each data index
    for (size_t s = 0; s < kPrompts.size(); ++s) {
      for (int64_t i = 0; i * kBlockSize <= kPrompts[s]; ++i) {
        tables_[s].push_back(blocks[s % static_cast<size_t>(dp)]++);
      }
    }
    for (int64_t data = 0; data < dp; ++data) {
      for (size_t s = static_cast<size_t>(data); s < kPrompts.size();
           s += static_cast<size_t>(dp)) {
        add(s, begins[s], ends[s], ahead, generated);
        data_rows_[static_cast<size_t>(data)] += ends[s] - begins[s];
        order_.push_back(s);
      }
    }
    for (size_t row = 0; row < tokens_.size(); ++row) sources_.push_back(static_cast<int32_t>(row));
  }

  models::StepBatch batch() const {
    return {.tokens = tokens_,
            .positions = positions_,
            .slots = slots_,
            .given = given_,
            .generated = generated_,
            .logit_rows = logit_rows_,
            .data_rows = data_rows_};
  }
  // Of drafts that go on from every row of a call with the same rows.
  std::span<const int32_t> sources() const { return sources_; }

  // Logits of each sequence, by its number.
  std::vector<std::vector<float>> by_sequence(std::span<const float> logits) const {
    const size_t vocab = logits.size() / order_.size();
    std::vector<std::vector<float>> rows(order_.size());
    for (size_t i = 0; i < order_.size(); ++i) {
      const auto row = logits.subspan(i * vocab, vocab);
      rows[order_[i]].assign(row.begin(), row.end());
    }
    return rows;
  }

 private:
  void add(size_t s, int64_t begin, int64_t end, int64_t ahead, bool generated) {
    const models::SequenceRows entry = {static_cast<int64_t>(tokens_.size()), end - begin, begin,
                                        tables_[s]};
    (generated ? generated_ : given_).push_back(entry);
    for (int64_t row = begin; row < end; ++row) {
      tokens_.push_back(token_at(s, row + ahead));
      positions_.push_back(static_cast<int32_t>(row));
      slots_.push_back(tables_[s][static_cast<size_t>(row / kBlockSize)] * kBlockSize +
                       row % kBlockSize);
    }
    logit_rows_.push_back(static_cast<int32_t>(tokens_.size()) - 1);
  }

  std::vector<int32_t> tokens_, positions_, logit_rows_, sources_;
  std::vector<int64_t> slots_, data_rows_;
  std::vector<std::vector<int32_t>> tables_;
  std::vector<models::SequenceRows> given_, generated_;
  std::vector<size_t> order_;
};

// A draw from each sequence's row of logits, each with other parameters.
class PromptDraws {
 public:
  PromptDraws() : params_(kPrompts.size()), rows_(kPrompts.size()) {
    params_[0].temperature = 0;
    params_[2].repetition_penalty = 1.5f;
    for (size_t i = 0; i < rows_.size(); ++i) {
      rows_[i] = static_cast<int32_t>(i);
      draws_.push_back({.params = params_[i],
                        .tokens = tokens_,
                        .generated_from = 2,
                        .banned = {},
                        .mask = {},
                        .seed = 5 + i});
    }
  }

  models::StepDraws reading(std::span<const int32_t> read) const {
    return {.draws = draws_, .rows = rows_, .read = read};
  }
  models::StepDraws reading_all() const { return reading(rows_); }
  std::vector<int32_t> by_oracle(std::span<const float> logits) const {
    const size_t vocab = logits.size() / draws_.size();
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < draws_.size(); ++i) {
      tokens.push_back(by_oracle(i, logits.subspan(i * vocab, vocab)));
    }
    return tokens;
  }
  int32_t by_oracle(size_t draw, std::span<const float> row) const {
    return sampling::reference_sample(row, draws_[draw]).value_or(-1);
  }

 private:
  std::vector<int32_t> tokens_ = {3, 8, 11, 8};
  std::vector<sampling::Parameters> params_;
  std::vector<int32_t> rows_;
  std::vector<sampling::Draw> draws_;
};

// Tokens are those of the rule's oracle for the same logits, of which the host gets those it asks
// for.
inline Status check_draws(models::CausalLm& model, const models::StepBatch& batch) {
  const PromptDraws draws;
  FATHOM_TRY(model.begin_step(batch));
  FATHOM_TRY(model.begin_draws(draws.reading_all()));
  FATHOM_ASSIGN(models::StepResult result, model.finish_step());
  const auto expected = draws.by_oracle(result.logits);
  if (!std::ranges::equal(result.tokens, expected)) {
    return Error{ErrorCode::kInternal, "draws: got other tokens than the oracle's"};
  }
  const std::vector<int32_t> last_row = {static_cast<int32_t>(kPrompts.size()) - 1};
  FATHOM_TRY(model.begin_step(batch));
  FATHOM_TRY(model.begin_draws(draws.reading(last_row)));
  FATHOM_ASSIGN(result, model.finish_step());
  if (static_cast<int64_t>(result.logits.size()) != model.vocab_size() ||
      result.tokens.back() != draws.by_oracle(kPrompts.size() - 1, result.logits)) {
    return Error{ErrorCode::kInternal, "draws: got other logits than those of the last row"};
  }
  return {};
}

struct Outcome {
  std::vector<std::vector<std::vector<float>>> logits;  // by call and sequence
  std::vector<std::byte> blocks;                        // of the cache

  bool operator==(const Outcome&) const = default;
};

// Copies two whole blocks of the first prompt out, and in where there are none, and out again.
inline Status hand_over(models::CausalLm& model, std::vector<std::byte>& out) {
  const std::vector<int32_t> from = {0, 1};
  const std::vector<int32_t> to = {14, 15};
  std::vector<std::byte> first(from.size() * models::kv_block_bytes(model.kv_block_format()));
  out.resize(first.size());
  FATHOM_TRY(model.read_kv_blocks(0, from, first));
  FATHOM_TRY(model.write_kv_blocks(0, to, first));
  FATHOM_TRY(model.read_kv_blocks(0, to, out));
  return first == out ? Status() : Error{ErrorCode::kInternal, "kv blocks: got others back"};
}

// Reads the prompts, drafts behind them, generates one token, hands blocks over, and draws tokens.
inline Result<Outcome> run_prompts(models::CausalLm& model, int64_t dp) {
  Outcome all;
  const std::vector<int64_t> zero(kPrompts.size());
  std::vector<int64_t> next = kPrompts;
  for (int64_t& end : next) ++end;
  const PromptStep prompts(dp, zero, kPrompts, 0, false);
  const PromptStep drafts(dp, zero, kPrompts, 1, false);
  const PromptStep decode(dp, kPrompts, next, 0, true);
  FATHOM_ASSIGN(auto logits, model.forward(prompts.batch()));
  all.logits.push_back(prompts.by_sequence(logits));
  if (model.can_draft()) {
    FATHOM_ASSIGN(logits, model.draft(drafts.batch(), drafts.sources()));
    all.logits.push_back(drafts.by_sequence(logits));
  }
  FATHOM_ASSIGN(logits, model.forward(decode.batch()));
  all.logits.push_back(decode.by_sequence(logits));
  FATHOM_TRY(hand_over(model, all.blocks));
  FATHOM_TRY(check_draws(model, prompts.batch()));
  return all;
}

}  // namespace fathom
