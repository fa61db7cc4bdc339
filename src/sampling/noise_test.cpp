#include "sampling/noise.h"

#include <gtest/gtest.h>

namespace fathom::sampling {
namespace {

// The published known answers of philox4x32-10.
TEST(Noise, PhiloxGivesTheKnownAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Noise, FillsTheRangeEvenly) {
  constexpr int kBins = 20;
  constexpr int kDraws = 40000;
  int counts[kBins] = {};
  for (int i = 0; i < kDraws; ++i) {
    const uint64_t noise = noise_bits(0x123456789abcdef0, static_cast<uint64_t>(i));
    ++counts[noise / (~uint64_t{0} / kBins + 1)];
  }
  double chi_square = 0.0;
  for (const int count : counts) {
    const double expected = double{kDraws} / kBins;
    chi_square += (count - expected) * (count - expected) / expected;
  }
  EXPECT_LT(chi_square, 50.8);  // 19 degrees of freedom, 1 in 10,000
}

TEST(Noise, EveryBitOfSeedAndPositionMatters) {
  for (int bit = 0; bit < 64; ++bit) {
    EXPECT_NE(noise_bits(7, 9), noise_bits(7 ^ (uint64_t{1} << bit), 9));
    EXPECT_NE(noise_bits(7, 9), noise_bits(7, 9 ^ (uint64_t{1} << bit)));
  }
}

}  // namespace
}  // namespace fathom::sampling
