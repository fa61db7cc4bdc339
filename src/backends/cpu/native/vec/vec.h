// The vectors kernels are written in. Each file of this folder is compiled once for each
// instruction set, into a namespace of its name (FATHOM_CPU_ISA), with FATHOM_CPU_BITS wide
// vectors. Nothing here or in the kernels may use an inline function of a shared namespace: the
// linker would keep one copy of it, maybe one with instructions this processor lacks.
//
// Each vec_*.h, vec_128.h with a loads_*.h, gives the same names: Vec, kWidth, load, load_first,
// store, store_first, broadcast, add, sub, mul, div, fma, maximum, reduce_add, reduce_add_8,
// reduce_max, load_bf16, load_fp8, kFp8Factor, load_i8, load_i4, round_to_int, power_of_two,
// zero_where_less.
#pragma once

#include <utility>

#if FATHOM_CPU_BITS == 512
#include "backends/cpu/native/vec/vec_512.h"
#elif FATHOM_CPU_BITS == 256
#include "backends/cpu/native/vec/vec_256.h"
#elif defined(__aarch64__)
#include "backends/cpu/native/vec/loads_neon.h"
#else
#include "backends/cpu/native/vec/loads_128.h"
#endif

namespace fathom::cpu::FATHOM_CPU_ISA {

static inline int64_t min_of(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static inline int64_t max_of(int64_t a, int64_t b) {
  return a > b ? a : b;
}
static inline int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
#if FATHOM_CPU_BITS != 512
static inline void reduce_add_8(const Vec (&a)[8], float* out) {
  for (int i = 0; i < 8; ++i) out[i] = reduce_add(a[i]);
}
#endif

// body(I) for each I in [0, N), each a constant: arrays that are only used so stay in registers.
template <int N, typename Body>
[[gnu::always_inline]] static inline void unrolled(const Body& body) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, I>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

// Makes the compiler keep a loaded vector in a register: GCC would load it again for each use, and
// tiles then wait for loads.
[[gnu::always_inline]] static inline void hold(Vec& a) {
#if FATHOM_CPU_BITS == 512
  if constexpr (!__is_class(decltype(a.v))) asm("" : "+v"(a.v));  // unless it is emulated
#else
  (void)a;
#endif
}

// Calls body(I) with I = count as a constant; `count` is in [1, N].
template <int N, typename Body>
static inline void with_count(int64_t count, const Body& body) {
  unrolled<N>([&](auto i) {
    if (count == i.value + 1) body(std::integral_constant<int, i.value + 1>{});
  });
}

// `count` floats, padded to whole vectors.
static inline int64_t padded(int64_t count) {
  return ceil_div(count, kWidth) * kWidth;
}

// e^x to about one unit in the last place; 0 below the smallest normal number, and no more than
// 2^127.5. With n = round(x / ln 2), e^x = 2^n e^r, |r| <= ln(2) / 2: eight terms of the series
// leave 5e-9 of it out.
static inline Vec exp(Vec x) {
  constexpr float kLowest = -87.33654f;
  constexpr float kHighest = 88.37626f;
  const Vec clamped = minimum(broadcast(kHighest), maximum(broadcast(kLowest), x));
  const Vec n = round_to_int(mul(clamped, broadcast(1.44269504f)));
  // ln 2 in two parts, the first short enough that n times it is exact.
  Vec r = fma(n, broadcast(-0.693359375f), clamped);
  r = fma(n, broadcast(2.12194440e-4f), r);
  Vec sum = broadcast(1.0f / 5040);
  sum = fma(sum, r, broadcast(1.0f / 720));
  sum = fma(sum, r, broadcast(1.0f / 120));
  sum = fma(sum, r, broadcast(1.0f / 24));
  sum = fma(sum, r, broadcast(1.0f / 6));
  sum = fma(sum, r, broadcast(0.5f));
  sum = fma(sum, r, broadcast(1.0f));
  sum = fma(sum, r, broadcast(1.0f));
  return zero_where_less(mul(sum, power_of_two(n)), x, broadcast(kLowest));
}

// v / (1 + e^-v)
static inline Vec silu(Vec v) {
  return div(v, add(broadcast(1.0f), exp(sub(broadcast(0.0f), v))));
}

static inline float exp(float x) {
  return first(exp(broadcast(x)));
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
