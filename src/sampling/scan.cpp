#include "base/lanes.h"
#include "sampling/logit_scan.h"

#define FATHOM_TEXT_OF(name) #name
#define FATHOM_TEXT(name) FATHOM_TEXT_OF(name)

namespace fathom::sampling::FATHOM_ISA {

using namespace fathom::FATHOM_ISA;

namespace {

constexpr float kNone = -__builtin_inff();

// Two 32-bit lanes are one of 64 bits, of which the even one is the lower half.
constexpr int64_t kPairs = kLanes / 2;
constexpr uint64_t kEven = 0xffffffff;

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

// Of the even tokens and of the odd ones.
struct Weights {
  LongLanes even;
  LongLanes odd;
};

// weight_of() the exponents of as many logits as a vector has lanes, 0 where nothing weighs.
inline __attribute__((always_inline)) Weights weights_of(const float* logits,
                                                         const WeightRule& rule) {
  const Lanes logit = load_lanes(logits);
  const auto weighs = (logit >= Lanes{} + rule.least) & (logit <= Lanes{} + rule.best);
  const Lanes x = weighs ? (logit - rule.best) * rule.inverse_temperature : Lanes{};
  const Lanes rounded = x * kLog2E + kRounder;
  const Lanes n = rounded - kRounder;
  const Lanes r = (x - n * kLn2High) - n * kLn2Low;
  const Lanes q = (((r * kQ4 + kQ3) * r + kQ2) * r + kQ1) * r + kQ0;
  const Lanes e_r = (q * (r * r) + r) + 1.0f;
  const IntLanes mantissas = __builtin_convertvector(e_r * 0x1p24f, IntLanes) & weighs;
  // n is in the lowest bits of `rounded`.
  const IntLanes down = as_ints(Lanes{} + kRounder) - as_ints(rounded);
  const auto mantissa_pairs = reinterpret_cast<LongLanes>(mantissas);
  const auto down_pairs = reinterpret_cast<LongLanes>(down);
  constexpr int kUp = kWeightBits - kMantissaBits;
  return {((mantissa_pairs & kEven) << kUp) >> (down_pairs & kEven),
          ((mantissa_pairs >> 32) << kUp) >> (down_pairs >> 32)};
}

inline __attribute__((always_inline)) void store(const Weights& from, uint64_t* to) {
  for (int64_t i = 0; i < kPairs; ++i) {
    to[2 * i] = from.even[i];
    to[2 * i + 1] = from.odd[i];
  }
}

void weigh(const float* logits, int64_t count, const WeightRule& rule, uint64_t* weights) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(weights_of(logits + i, rule), weights + i);
  if (i == count) return;
  float rest[kLanes];
  for (int64_t j = 0; j < kLanes; ++j) rest[j] = i + j < count ? logits[i + j] : kNone;
  uint64_t rest_weights[kLanes];
  store(weights_of(rest, rule), rest_weights);
  memcpy(weights + i, rest_weights, static_cast<size_t>(count - i) * sizeof(uint64_t));
}

// Blocks in which nothing weighs would add zeros.
uint64_t chunk_sum(const float* logits, const float* maxima, int64_t blocks,
                   const WeightRule& rule) {
  Weights sums = {};
  for (int64_t block = 0; block < blocks; ++block) {
    if (!(maxima[block] >= rule.least)) continue;
    const float* from = logits + block * kBlockTokens;
    for (int64_t i = 0; i < kBlockTokens; i += kLanes) {
      const Weights weights = weights_of(from + i, rule);
      sums.even += weights.even;
      sums.odd += weights.odd;
    }
  }
  const LongLanes both = sums.even + sums.odd;
  uint64_t total = 0;
  for (int64_t i = 0; i < kPairs; ++i) total += both[i];
  return total;
}

void chunk_sums(const float* logits, const float* maxima, int64_t count, const WeightRule& rule,
                uint64_t* sums) {
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
