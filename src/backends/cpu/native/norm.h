#pragma once

#include "backends/cpu/native/products/elementwise.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// 1 / sqrt(mean(v^2) + eps)
static inline float inverse_norm(const float* v, int64_t count, float eps) {
  Vec sum = broadcast(0.0f);
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) sum = fma(load(v + i), load(v + i), sum);
  if (i < count) {
    const Vec rest = load_first(v + i, count - i);
    sum = fma(rest, rest, sum);
  }
  return 1.0f / __builtin_sqrtf(reduce_add(sum) / static_cast<float>(count) + eps);
}

// out = v / norm * weight; `out` may be `v`.
static inline void normalize(const float* v, const float* weight, float eps, int64_t count,
                             float* out) {
  const Vec inverse = broadcast(inverse_norm(v, count, eps));
  map(v, weight, out, count, [&](Vec a, Vec b) { return mul(mul(a, inverse), b); });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
