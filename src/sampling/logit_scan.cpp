#include "sampling/logit_scan.h"

#include <bit>
#include <cstdint>
#include <limits>

#include "base/instruction_sets.h"

namespace fathom::sampling {

// scan.cpp, compiled for each.
#define FATHOM_DECLARE_SCAN(isa) FATHOM_DECLARE_SET(isa, LogitScan, scan)
FATHOM_INSTRUCTION_SETS(FATHOM_DECLARE_SCAN)

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
  std::vector<const LogitScan*> scans;
#define FATHOM_ADD_SCAN(isa) \
  if (runs_##isa()) scans.push_back(&isa::scan());
  FATHOM_INSTRUCTION_SETS(FATHOM_ADD_SCAN)
  return scans;
}

const LogitScan& logit_scan() {
  static const LogitScan& best = *logit_scans().back();
  return best;
}

}  // namespace fathom::sampling
