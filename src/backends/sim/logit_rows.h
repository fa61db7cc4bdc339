// Rows of logits. In each a few tokens stand out and all others have 0, so a row is written, and a
// token drawn from it, in the time of those few: the chip remembers what it wrote where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "backends/sim/row_state.h"
#include "device/abi.h"
#include "sampling/logit_row.h"
#include "sampling/rule.h"

namespace fathom::sim {

// A token of the logits that a state stands for.
struct StandingOut {
  int32_t token = 0;
  float logit = 0;
};
inline constexpr int kStandingOut = 8;
// The best one last: where two are the same token, the later has the logit.
void standing_out(RowState state, int64_t vocab, std::span<StandingOut, kStandingOut> tokens);

// The whole row, whatever was there.
void write_logits(float* row, int64_t vocab, RowState state);

class LogitRows {
 public:
  // As write_logits().
  void write(float* row, int64_t vocab, RowState state);
  // Something else was written there, or the memory is gone.
  void forget(const void* memory, size_t bytes);

  // What sampling::draw_token() draws; nullopt where the row is none that was written here, or
  // where tokens with a logit of 0 have a part in what is drawn.
  std::optional<int32_t> draw(const fathom_sample_args& args, const fathom_draw& draw);

 private:
  struct Row {
    int64_t vocab = 0;
    RowState state;
  };
  struct Few {
    int32_t token = 0;
    float logit = 0;
    uint64_t weight = 0;
  };

  void collect(const fathom_sample_args& args, const fathom_draw& draw, const Row& row,
               const sampling::Terms& terms);
  std::optional<int32_t> draw_from_few(const fathom_draw& draw, const sampling::Terms& terms,
                                       std::span<const uint32_t> mask, int64_t vocab);
  bool narrow(const sampling::Terms& terms, uint64_t zeros);

  std::map<const std::byte*, Row> rows_;
  std::vector<float> changed_;    // [vocab], zero between draws
  std::vector<int32_t> touched_;  // tokens of which it is not
  std::vector<Few> few_;
  std::vector<Few> ranked_;
};

}  // namespace fathom::sim
