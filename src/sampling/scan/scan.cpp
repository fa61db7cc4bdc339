#include "sampling/scan/scan.h"

#include "base/lanes_exp.h"

#define FATHOM_TEXT_OF(name) #name
#define FATHOM_TEXT(name) FATHOM_TEXT_OF(name)

namespace fathom::sampling::FATHOM_ISA {

using namespace fathom::FATHOM_ISA;

namespace {

constexpr float kNone = -__builtin_inff();

// As many logits as a vector of float64 has lanes.
constexpr int64_t kWide = kLanes / 2;
using FewLanes = float __attribute__((vector_size(kWide * 4)));

float block_maximum(const float* logits) {
  const Lanes infinity = Lanes{} + __builtin_inff();
  const Lanes none = Lanes{} + kNone;
  Lanes top = none;
  for (int64_t i = 0; i < kBlockTokens; i += kLanes) {
    const Lanes x = load_lanes(logits + i);
    const Lanes finite = x < infinity ? x : none;  // NaN and infinity are not less
    top = top > finite ? top : finite;
  }
  float greatest = top[0];
  for (int64_t i = 1; i < kLanes; ++i) greatest = top[i] > greatest ? top[i] : greatest;
  return greatest;
}

void block_maxima(const float* logits, int64_t count, float* maxima) {
  int64_t i = 0;
  for (; i + kBlockTokens <= count; i += kBlockTokens) *maxima++ = block_maximum(logits + i);
  if (i == count) return;
  float rest[kBlockTokens];
  for (int64_t j = 0; j < kBlockTokens; ++j) rest[j] = i + j < count ? logits[i + j] : kNone;
  *maxima = block_maximum(rest);
}

inline __attribute__((always_inline)) DoubleLanes weights_of(const float* logits,
                                                             const WeightRule& rule) {
  FewLanes few;
  memcpy(&few, logits, sizeof(few));
  const DoubleLanes x = __builtin_convertvector(few, DoubleLanes);
  const DoubleLanes best = DoubleLanes{} + rule.best;
  const DoubleLanes least = DoubleLanes{} + rule.least;
  const auto weighs = (x >= least) & (x <= best);
  const DoubleLanes exponent = weighs ? (x - best) * rule.inverse_temperature : DoubleLanes{};
  return weighs ? exp_lanes(exponent) : DoubleLanes{};
}

void weigh(const float* logits, int64_t count, const WeightRule& rule, double* weights) {
  int64_t i = 0;
  for (; i + kWide <= count; i += kWide) {
    const DoubleLanes lanes = weights_of(logits + i, rule);
    memcpy(weights + i, &lanes, sizeof(lanes));
  }
  if (i == count) return;
  float rest[kWide];
  for (int64_t j = 0; j < kWide; ++j) rest[j] = i + j < count ? logits[i + j] : kNone;
  const DoubleLanes lanes = weights_of(rest, rule);
  memcpy(weights + i, &lanes, static_cast<size_t>(count - i) * sizeof(double));
}

// Eight sums, of every eighth token, that are then added in their order. Blocks in which nothing
// weighs would add zeros.
double chunk_sum(const float* logits, const float* maxima, int64_t blocks, const WeightRule& rule) {
  constexpr int64_t kSums = 8;
  DoubleLanes sums[kSums / kWide] = {};
  for (int64_t block = 0; block < blocks; ++block) {
    if (!(maxima[block] >= rule.least)) continue;
    const float* from = logits + block * kBlockTokens;
    for (int64_t i = 0; i < kBlockTokens; i += kSums) {
      for (int64_t j = 0; j < kSums / kWide; ++j) sums[j] += weights_of(from + i + j * kWide, rule);
    }
  }
  double total = 0;
  for (int64_t i = 0; i < kSums; ++i) total += sums[i / kWide][i % kWide];
  return total;
}

void chunk_sums(const float* logits, const float* maxima, int64_t count, const WeightRule& rule,
                double* sums) {
  constexpr int64_t kBlocks = kChunkTokens / kBlockTokens;
  int64_t i = 0;
  for (; i + kChunkTokens <= count; i += kChunkTokens, maxima += kBlocks) {
    *sums++ = chunk_sum(logits + i, maxima, kBlocks, rule);
  }
  if (i == count) return;
  float rest[kChunkTokens];
  for (int64_t j = 0; j < kChunkTokens; ++j) rest[j] = i + j < count ? logits[i + j] : kNone;
  *sums = chunk_sum(rest, maxima, blocks_of(count - i), rule);
}

}  // namespace

const LogitScan& scan() {
  static constexpr LogitScan kScan = {.name = FATHOM_TEXT(FATHOM_ISA),
                                      .block_maxima = block_maxima,
                                      .chunk_sums = chunk_sums,
                                      .weigh = weigh};
  return kScan;
}

}  // namespace fathom::sampling::FATHOM_ISA
