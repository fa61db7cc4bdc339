// How packed weights multiply with quantised values of x. Weights are unsigned (packing.h):
// what they are too large by, times the sum of the group's x, is subtracted once a group.
#pragma once

#if FATHOM_CPU_BITS == 512
#include "backends/cpu/native/vec/ints_512.h"
#elif FATHOM_CPU_BITS == 256
#include "backends/cpu/native/vec/ints_256.h"
#elif defined(__ARM_FEATURE_DOTPROD)
#include "backends/cpu/native/vec/ints_neon.h"
#else
#include "backends/cpu/native/vec/ints_128.h"
#endif
#include "backends/cpu/packing/packing.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// A Dot multiplies each lane's 4 unsigned bytes with the same 4 values of x:
//   Value    how x is stored, its 4 values a step at places kPlace
//   Sums     grow by add() at most kMostAdds times before flush() takes them into 32-bit sums
//   kTaken   what weights() takes off each weight

// By 16-bit pairs.
struct PairDot {
  using Value = int16_t;
  static constexpr int kPlace[4] = {0, 2, 1, 3};
  static constexpr int64_t kMostAdds = kMostGroupColumns;
  static constexpr int32_t kTaken = 0;
  struct Weights {
    Ints even, odd;
  };
  struct Values {
    Ints even, odd;
  };
  static Weights weights(Ints bytes) { return {even_bytes(bytes), odd_bytes(bytes)}; }
  static Values values(const Value* x) { return {pair(x), pair(x + 2)}; }
  static Ints add(Ints sums, const Weights& w, const Values& x) {
    return sum_of(sum_of(sums, multiply_pairs(w.even, x.even)), multiply_pairs(w.odd, x.odd));
  }
  static Ints flush(Ints total, Ints sums) { return sum_of(total, sums); }

 private:
  static Ints pair(const Value* x) {
    int32_t two;
    memcpy(&two, x, sizeof(two));
    return broadcast_int(two);
  }
};

static inline Ints broadcast_bytes(const int8_t* x) {
  int32_t four;
  memcpy(&four, x, sizeof(four));
  return broadcast_int(four);
}

#if FATHOM_CPU_BITS > 128
// By bytes into 16-bit sums, for weights of 4 bits: 8 sums of 2 * 15 * 127 fit.
struct HalvesDot {
  using Value = int8_t;
  using Weights = Ints;
  using Values = Ints;
  static constexpr int kPlace[4] = {0, 1, 2, 3};
  static constexpr int64_t kMostAdds = 8;
  static constexpr int32_t kTaken = 0;
  static Weights weights(Ints bytes) { return bytes; }
  static Values values(const Value* x) { return broadcast_bytes(x); }
  static Ints add(Ints sums, Weights w, Values x) { return add_halves(sums, multiply_bytes(w, x)); }
  static Ints flush(Ints total, Ints sums) {
    return sum_of(total, multiply_pairs(sums, broadcast_int(0x00010001)));
  }
};
#endif

#if FATHOM_CPU_VNNI || defined(__ARM_FEATURE_DOTPROD)
// By four bytes at once.
struct BytesDot {
  using Value = int8_t;
  using Weights = Ints;
  using Values = Ints;
  static constexpr int kPlace[4] = {0, 1, 2, 3};
  static constexpr int64_t kMostAdds = kMostGroupColumns;
  static constexpr int32_t kTaken = 0;
  static Weights weights(Ints bytes) { return bytes; }
  static Values values(const Value* x) { return broadcast_bytes(x); }
  static Ints add(Ints sums, Weights w, Values x) { return add_products(sums, w, x); }
  static Ints flush(Ints total, Ints sums) { return sum_of(total, sums); }
};
#endif

#if FATHOM_CPU_VNNI || defined(__ARM_FEATURE_MATMUL_INT8)
using I8Dot = BytesDot;
using I4Dot = BytesDot;
#elif defined(__ARM_FEATURE_DOTPROD)
// Where both bytes of a product are signed; weights of 4 bits are alike as either.
struct SignedBytesDot : BytesDot {
  static constexpr int32_t kTaken = 128;
  static Weights weights(Ints bytes) { return to_signed_bytes(bytes); }
};
using I8Dot = SignedBytesDot;
using I4Dot = BytesDot;
#elif FATHOM_CPU_BITS > 128
using I8Dot = PairDot;
using I4Dot = HalvesDot;
#else
using I8Dot = PairDot;
using I4Dot = PairDot;
#endif

struct PackedI8 : I8Dot {
  static constexpr int64_t kStep = 4;  // columns
  static constexpr int32_t kBias = 128 - kTaken;
  static constexpr int64_t kMostSteps = kMostAdds;
  static constexpr int64_t kScaleBytes = sizeof(float);
  static Weights step_weights(const uint8_t* p) { return weights(load_ints(p)); }
  static Values step_values(const Value* x) { return values(x); }
  static Ints add_step(Ints sums, const Weights& w, const Values& x) { return add(sums, w, x); }
  static Vec scales(const uint8_t* p) { return load(reinterpret_cast<const float*>(p)); }
};

struct PackedI4 : I4Dot {
  static constexpr int64_t kStep = 8;
  static constexpr int32_t kBias = 8 - kTaken;
  static constexpr int64_t kMostSteps = kMostAdds / 2;
  static constexpr int64_t kScaleBytes = sizeof(uint16_t);
  struct StepWeights {
    Weights low, high;
  };
  struct StepValues {
    Values low, high;
  };
  static StepWeights step_weights(const uint8_t* p) {
    const Ints bytes = load_ints(p);
    return {weights(low_halves(bytes)), weights(high_halves(bytes))};
  }
  static StepValues step_values(const Value* x) { return {values(x), values(x + 4)}; }
  static Ints add_step(Ints sums, const StepWeights& w, const StepValues& x) {
    return add(add(sums, w.low, x.low), w.high, x.high);
  }
  static Vec scales(const uint8_t* p) { return load_f16(p); }
};

// Calls body(format) with a packed weight's format.
template <typename Body>
static inline void with_packed_format(int32_t dtype, const Body& body) {
  if (dtype == FATHOM_I4) {
    body(PackedI4{});
  } else {
    body(PackedI8{});
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
