#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace fathom::cpu::reference {

// Scores become weights that sum to one; at least one score.
inline void softmax(double* scores, int64_t count) {
  const double highest = *std::max_element(scores, scores + count);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += scores[i] = std::exp(scores[i] - highest);
  for (int64_t i = 0; i < count; ++i) scores[i] /= sum;
}

}  // namespace fathom::cpu::reference
