// Passes over a row of logits, for one set of vector instructions. Every set gives the same bits:
// each number is computed alone, and sums are of integers.
#pragma once

#include <cstdint>
#include <vector>

#include "sampling/rule.h"

namespace fathom::sampling {

// Tokens whose greatest logit is known together, and tokens whose weights are.
constexpr int64_t kBlockTokens = 64;
constexpr int64_t kChunkTokens = 1024;

constexpr int64_t blocks_of(int64_t tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}
constexpr int64_t chunks_of(int64_t tokens) {
  return (tokens + kChunkTokens - 1) / kChunkTokens;
}

// A token weighs weight_of() its exponent_of(), and nothing below `least`, above `best` or where it
// is NaN. The exponent of `least` is kLeastExponent or more.
struct WeightRule {
  float best = 0;
  float inverse_temperature = 1;
  float least = 0;
};

// `least` is the least logit whose exponent_of() is `least_exponent` or more.
WeightRule weight_rule(float best, float inverse_temperature, float least_exponent);

inline float exponent_of(float logit, const WeightRule& rule) {
  return exponent_of(logit, rule.best, rule.inverse_temperature);
}

struct LogitScan {
  const char* name;

  // The greatest finite logit of each block; -infinity where there is none.
  void (*block_maxima)(const float* logits, int64_t count, float* maxima);
  // The sum of each chunk's weights; `maxima` as above.
  void (*chunk_sums)(const float* logits, const float* maxima, int64_t count,
                     const WeightRule& rule, uint64_t* sums);
  // The weights of `count` tokens.
  void (*weigh)(const float* logits, int64_t count, const WeightRule& rule, uint64_t* weights);
};

// Those that this processor runs, the best last.
std::vector<const LogitScan*> logit_scans();
// The best of them.
const LogitScan& logit_scan();

}  // namespace fathom::sampling
