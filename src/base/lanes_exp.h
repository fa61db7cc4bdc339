// e^x in float64, a vector at a time.
#pragma once

#include "base/lanes.h"

namespace fathom::FATHOM_ISA {

using LongLanes = int64_t __attribute__((vector_size(kLanes * 4)));

// x from -708 to 0; the error is below 2^-51 of the result. x = n ln 2 + r, |r| <= ln 2 / 2, and
// e^r by its series up to r^13.
static inline DoubleLanes exp_lanes(DoubleLanes x) {
  constexpr double kShift = 0x1.8p52;  // adding it leaves no bits for a fraction
  constexpr double kLog2E = 0x1.71547652b82fep0;
  // ln 2 in two parts, so that n times the first is exact.
  constexpr double kLn2High = 0x1.62e42fee00000p-1;
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr double kInverseFactorials[] = {1.0,
                                           1.0,
                                           1.0 / 2,
                                           1.0 / 6,
                                           1.0 / 24,
                                           1.0 / 120,
                                           1.0 / 720,
                                           1.0 / 5040,
                                           1.0 / 40320,
                                           1.0 / 362880,
                                           1.0 / 3628800,
                                           1.0 / 39916800,
                                           1.0 / 479001600,
                                           1.0 / 6227020800};
  const DoubleLanes shifted = x * kLog2E + kShift;
  const DoubleLanes n = shifted - kShift;
  const DoubleLanes r = (x - n * kLn2High) - n * kLn2Low;
  DoubleLanes sum = DoubleLanes{} + kInverseFactorials[13];
#pragma GCC unroll 13
  for (int i = 12; i >= 0; --i) sum = sum * r + kInverseFactorials[i];
  // n is in the lowest bits of `shifted`: added to the exponent.
  const LongLanes scaled =
      reinterpret_cast<LongLanes>(sum) + (reinterpret_cast<LongLanes>(shifted) << 52);
  return reinterpret_cast<DoubleLanes>(scaled);
}

}  // namespace fathom::FATHOM_ISA
