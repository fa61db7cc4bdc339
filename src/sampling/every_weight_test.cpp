#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "sampling/logit_scan.h"

namespace fathom::sampling {
namespace {

// The error that rule.h states, over every exponent that has a bit of it (nearer to 0 all weigh as
// much as the best), and the same bits by every set of instructions.
TEST(EveryWeight, IsTheExponentialOfItsExponent) {
  const WeightRule rule = weight_rule(0, 1, kLeastExponent);
  constexpr size_t kRun = 1 << 16;
  std::vector<float> exponents(kRun);
  std::vector<uint64_t> plain(kRun);
  std::vector<uint64_t> weights(kRun);
  const auto end = std::bit_cast<uint32_t>(kLeastExponent);
  double worst = 0;
  for (uint32_t bits = std::bit_cast<uint32_t>(-0x1p-26f); bits <= end; bits += kRun) {
    const size_t count = std::min<size_t>(kRun, end - bits + 1);
    for (size_t i = 0; i < count; ++i) {
      const auto x = std::bit_cast<float>(bits + static_cast<uint32_t>(i));
      const double exact = std::exp(double{x}) * 0x1p44;
      exponents[i] = x;
      plain[i] = weight_of(x);
      worst = std::max(worst, (std::abs(static_cast<double>(plain[i]) - exact) - 1) / exact);
    }
    for (const LogitScan* scan : logit_scans()) {
      scan->weigh(exponents.data(), static_cast<int64_t>(count), rule, weights.data());
      ASSERT_TRUE(
          std::equal(plain.begin(), plain.begin() + static_cast<ptrdiff_t>(count), weights.begin()))
          << scan->name << ", from " << exponents[0];
    }
  }
  EXPECT_LT(worst, 0x1p-23);
}

}  // namespace
}  // namespace fathom::sampling
