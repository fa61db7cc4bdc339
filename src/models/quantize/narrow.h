// F32 to bf16, int8 and FP8, a vector at a time.
#pragma once

#include "base/lanes.h"
#include "models/quantize/quantize.h"

namespace fathom::models::FATHOM_ISA {

using namespace fathom::FATHOM_ISA;

// Adding it to a number within +-2^22 leaves no bits for a fraction: the nearest whole number, ties
// to even, is in the lowest bits.
constexpr float kShift = 0x1.8p23f;
constexpr int32_t kShiftBits = 0x4b400000;

// The nearest whole number from least to greatest, more by kShift.
static inline Lanes round_shifted(Lanes value, int32_t least, int32_t greatest) {
  // Of numbers that are not negative the bits rank as they do; those of negative ones are below.
  const IntLanes low = IntLanes{} + (kShiftBits + least);
  const IntLanes high = IntLanes{} + (kShiftBits + greatest);
  IntLanes bits = as_ints(value + kShift);
  bits = bits > low ? bits : low;
  bits = bits < high ? bits : high;
  return as_floats(bits);
}

// What became of numbers, lane by lane. In F32: of one row.
struct LaneErrors {
  Lanes squared_error = {};
  Lanes squares = {};
  Lanes largest = {};

  void add(Lanes was, Lanes is) {
    const Lanes difference = is - was;
    const Lanes size = magnitude(difference);
    squared_error += difference * difference;
    squares += was * was;
    largest = largest < size ? size : largest;
  }
  void add_to(WeightError& error) const {
    for (int64_t i = 0; i < kLanes; ++i) {
      error.squared_error += squared_error[i];
      error.squares += squares[i];
      error.largest = error.largest < largest[i] ? largest[i] : error.largest;
    }
  }
};

static float greatest_magnitude(const float* x, int64_t count) {
  IntLanes greatest = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const IntLanes size = as_ints(magnitude(load_lanes(x + i)));
    greatest = greatest < size ? size : greatest;
  }
  float result = __builtin_bit_cast(float, greatest_lane(greatest));
  for (; i < count; ++i) {
    const float size = __builtin_fabsf(x[i]);
    result = result < size ? size : result;
  }
  return result;
}

// 1 / step, or 0 for a step that has none: 0, NaN, or one so small that it is too large.
static inline float inverse_of(float step) {
  const float inverse = step > 0 ? 1 / step : 0;
  return inverse <= __FLT_MAX__ ? inverse : 0;
}

// `code` turns Lanes into their code, IntLanes whose low bits are of type Code, and what that
// stands for.
template <typename Code, typename Coder>
static inline void narrow_lanes(const float* from, const Coder& coder, std::byte* to,
                                LaneErrors& errors) {
  const Lanes x = load_lanes(from);
  IntLanes code;
  Lanes back;
  coder(x, code, back);
  const Code codes = __builtin_convertvector(code, Code);
  memcpy(to, &codes, sizeof(codes));
  errors.add(x, back);
}

template <typename Code, typename Coder>
static inline void narrow_run(const float* from, int64_t count, const Coder& coder, std::byte* to,
                              LaneErrors& errors) {
  constexpr int64_t kSize = sizeof(Code) / kLanes;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    narrow_lanes<Code>(from + i, coder, to + i * kSize, errors);
  }
  if (i == count) return;
  float rest[kLanes] = {};
  std::byte codes[sizeof(Code)];
  memcpy(rest, from + i, static_cast<size_t>(count - i) * sizeof(float));
  narrow_lanes<Code>(rest, coder, codes, errors);
  memcpy(to + i * kSize, codes, static_cast<size_t>((count - i) * kSize));
}

// f32_to_bf16(), of finite numbers.
static inline void code_bf16(Lanes x, IntLanes& code, Lanes& back) {
  const IntLanes bits = as_ints(x);
  const IntLanes rounded = (bits + 0x7fff + (bits >> 16 & 1)) & ~0xffff;
  code = rounded >> 16;
  back = as_floats(rounded);
}

static void narrow_bf16(const float* x, int64_t k, std::byte* out, WeightError& error) {
  LaneErrors errors;
  narrow_run<HalfLanes>(x, k, code_bf16, out, errors);
  errors.add_to(error);
}

static void narrow_i8(const float* x, int64_t k, std::byte* out, float* scale, WeightError& error) {
  LaneErrors errors;
  for (int64_t begin = 0; begin < k; begin += kInt8Group) {
    const int64_t count = k - begin < kInt8Group ? k - begin : kInt8Group;
    const float step = greatest_magnitude(x + begin, count) / 127;
    const float inverse = inverse_of(step);
    const auto coder = [&](Lanes value, IntLanes& code, Lanes& back) {
      const Lanes shifted = round_shifted(value * inverse, -127, 127);
      code = as_ints(shifted) - kShiftBits;
      back = (shifted - kShift) * step;
    };
    narrow_run<ByteLanes>(x + begin, count, coder, out + begin, errors);
    *scale++ = step;
  }
  errors.add_to(error);
}

// f32_to_f8() and f8_to_f32(), of finite numbers.
static inline void code_f8(Lanes value, IntLanes& code, Lanes& back) {
  const IntLanes sign = as_ints(value) & ~0x7fffffff;
  const Lanes size = magnitude(value);
  const IntLanes subnormal = as_ints(size + 0x1p14f) - 0x46800000;
  const IntLanes rebiased = as_ints(size) - 0x3c000000;
  const IntLanes normal = (rebiased + 0x7ffff + (rebiased >> 20 & 1)) >> 20;
  const IntLanes most = IntLanes{} + 0x7e;
  IntLanes held = size < 0x1p-6f ? subnormal : normal;
  held = held < most ? held : most;
  code = held | (sign >> 24 & 0x80);
  back = as_floats(as_ints(as_floats(held << 20) * 0x1p120f) | sign);
}

static void narrow_f8_block(const float* x, int64_t rows, int64_t k, int64_t count, std::byte* out,
                            float* scale, WeightError& error) {
  float greatest = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const float of_row = greatest_magnitude(x + row * k, count);
    greatest = greatest < of_row ? of_row : greatest;
  }
  const float step = greatest / 448;
  const float inverse = inverse_of(step);
  const auto coder = [&](Lanes value, IntLanes& code, Lanes& back) {
    code_f8(value * inverse, code, back);
    back *= step;
  };
  LaneErrors errors;
  for (int64_t row = 0; row < rows; ++row) {
    narrow_run<ByteLanes>(x + row * k, count, coder, out + row * k, errors);
  }
  errors.add_to(error);
  *scale = step;
}

}  // namespace fathom::models::FATHOM_ISA
