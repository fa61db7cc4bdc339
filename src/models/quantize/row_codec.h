// Rows of weights to F32 and back, for one set of vector instructions. Every set gives the same
// numbers, but for the sums of WeightError, which are taken in another order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "models/quantize/quantize.h"

namespace fathom::models {

// A row has k numbers, its scales one for each `block` columns. Data may have any alignment.
struct RowCodec {
  const char* name;

  void (*widen_bf16)(const std::byte* row, int64_t k, float* out);
  void (*widen_f16)(const std::byte* row, int64_t k, float* out);
  void (*widen_f8)(const std::byte* row, const float* scale, int64_t block, int64_t k, float* out);
  void (*widen_i8)(const std::byte* row, const float* scale, int64_t block, int64_t k, float* out);
  void (*widen_i4)(const std::byte* row, const float* scale, int64_t block, int64_t k, float* out);

  // Errors are added to what `error` says.
  void (*narrow_bf16)(const float* x, int64_t k, std::byte* out, WeightError& error);
  void (*narrow_i8)(const float* x, int64_t k, std::byte* out, float* scale, WeightError& error);
  void (*narrow_i4)(const float* x, int64_t k, std::byte* out, float* scale, WeightError& error);
  // Columns [0, count) of `rows` rows, which are k apart: one block, one scale.
  void (*narrow_f8_block)(const float* x, int64_t rows, int64_t k, int64_t count, std::byte* out,
                          float* scale, WeightError& error);
  float (*greatest_magnitude)(const float* x, int64_t count);
  bool (*any_minus_128)(const std::byte* data, size_t count);
};

// Those that this processor runs, the best last.
std::vector<const RowCodec*> row_codecs();

}  // namespace fathom::models
