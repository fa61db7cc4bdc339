// Passes over a row of logits, for one set of vector instructions. Every set gives the same bits:
// each number is computed alone, and sums have one order.
#pragma once

#include <cstdint>
#include <vector>

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

// A token weighs e^((logit - best) * inverse_temperature), and nothing below `least`, above `best`
// or where it is NaN. No exponent may be below -708.
struct WeightRule {
  float best = 0;
  double inverse_temperature = 1;
  double least = 0;
};

struct LogitScan {
  const char* name;

  // The greatest finite logit of each block; -infinity where there is none.
  void (*block_maxima)(const float* logits, int64_t count, float* maxima);
  // The sum of each chunk's weights; `maxima` as above.
  void (*chunk_sums)(const float* logits, const float* maxima, int64_t count,
                     const WeightRule& rule, double* sums);
  // The weights of `count` tokens.
  void (*weigh)(const float* logits, int64_t count, const WeightRule& rule, double* weights);
};

// Those that this processor runs, the best last.
std::vector<const LogitScan*> logit_scans();
// The best of them.
const LogitScan& logit_scan();

}  // namespace fathom::sampling
