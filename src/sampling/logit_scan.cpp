#include "sampling/logit_scan.h"

#include <bit>
#include <cstdint>
#include <limits>

#include "base/instruction_sets.h"
#include "sampling/scan.h"

namespace fathom::sampling {
namespace {

// Integers in the order of the finite numbers they stand for; both ways.
int32_t ordered(int32_t bits) {
  return bits ^ ((bits >> 31) & 0x7fffffff);
}
int64_t rank_of(float x) {
  return ordered(std::bit_cast<int32_t>(x));
}
float at_rank(int64_t rank) {
  return std::bit_cast<float>(ordered(static_cast<int32_t>(rank)));
}

}  // namespace

// By halving: exponent_of() never falls where the logit grows, but it stays where rounding takes
// the difference away.
WeightRule weight_rule(float best, float inverse_temperature, float least_exponent) {
  int64_t low = rank_of(std::numeric_limits<float>::lowest());
  int64_t high = rank_of(best);  // its exponent is 0
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (exponent_of(at_rank(middle), best, inverse_temperature) >= least_exponent) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return {.best = best, .inverse_temperature = inverse_temperature, .least = at_rank(high)};
}

std::vector<const LogitScan*> logit_scans() {
  std::vector<const LogitScan*> scans = {&portable::scan()};
#if defined(__x86_64__)
  if (has_avx2()) scans.push_back(&avx2::scan());
  if (has_avx512()) scans.push_back(&avx512::scan());
#endif
  return scans;
}

const LogitScan& logit_scan() {
  static const LogitScan& best = *logit_scans().back();
  return best;
}

}  // namespace fathom::sampling
