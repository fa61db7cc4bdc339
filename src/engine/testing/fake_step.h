// A step as the fake model keeps it from when it is begun to when it runs: copies of all that it
// was given. There is room for what is usual in tests, so that such a step allocates nothing.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "models/causal_lm.h"

namespace fathom::engine {

inline constexpr size_t kUsualTokens = 512;

template <typename T>
void fake_copy(std::span<const T> from, std::vector<T>& to) {
  if (to.capacity() < from.size()) to.reserve(std::max(kUsualTokens, std::bit_ceil(from.size())));
  to.assign(from.begin(), from.end());
}

struct FakeDraw {
  FakeDraw() {
    params.logit_bias.reserve(8);
    tokens.reserve(kUsualTokens);
    banned.reserve(8);
    mask.reserve(8);
  }

  sampling::Parameters params;
  std::vector<int32_t> tokens;
  int64_t generated_from = 0;
  std::vector<int32_t> banned;
  std::vector<uint32_t> mask;
  uint64_t seed = 0;
  int32_t row = 0;

  void keep(const sampling::Draw& draw, int32_t of_row) {
    params = draw.params;
    fake_copy(draw.tokens, tokens);
    generated_from = draw.generated_from;
    fake_copy(draw.banned, banned);
    fake_copy(draw.mask, mask);
    seed = draw.seed;
    row = of_row;
  }
  sampling::Draw draw() const {
    return {.params = params,
            .tokens = tokens,
            .generated_from = generated_from,
            .banned = banned,
            .mask = mask,
            .seed = seed};
  }
};

struct FakeStep {
  FakeStep() : kept(kUsualDraws) {}

  void keep(const models::StepBatch& batch) {
    fake_copy(batch.tokens, tokens);
    fake_copy(batch.positions, positions);
    fake_copy(batch.slots, slots);
    fake_copy(batch.logit_rows, logit_rows);
    fake_copy(batch.data_rows, data_rows);
    keep(batch.given, given, given_tables);
    keep(batch.generated, generated, generated_tables);
  }

  void keep(const models::StepDraws& asked) {
    if (kept.size() < asked.draws.size()) kept.resize(asked.draws.size());
    draws = std::span(kept).first(asked.draws.size());
    for (size_t i = 0; i < draws.size(); ++i) draws[i].keep(asked.draws[i], asked.rows[i]);
    fake_copy(asked.read, read);
  }

  models::StepBatch batch() const {
    return {.tokens = tokens,
            .positions = positions,
            .slots = slots,
            .given = given,
            .generated = generated,
            .logit_rows = logit_rows,
            .data_rows = data_rows};
  }

  static constexpr size_t kUsualDraws = 64;
  using Tables = std::vector<std::vector<int32_t>>;

  static void keep(std::span<const models::SequenceRows> from,
                   std::vector<models::SequenceRows>& to, Tables& tables) {
    fake_copy(from, to);
    if (tables.size() < from.size()) tables.resize(from.size());
    for (size_t i = 0; i < from.size(); ++i) {
      fake_copy(from[i].block_table, tables[i]);
      to[i].block_table = tables[i];
    }
  }

  std::vector<int32_t> tokens;
  std::vector<int32_t> positions;
  std::vector<int64_t> slots;
  std::vector<models::SequenceRows> given;
  std::vector<models::SequenceRows> generated;
  Tables given_tables;
  Tables generated_tables;
  std::vector<int32_t> logit_rows;
  std::vector<int64_t> data_rows;

  bool has_draws = false;
  std::vector<FakeDraw> kept;
  std::span<FakeDraw> draws;  // of kept
  std::vector<int32_t> read;
};

}  // namespace fathom::engine
