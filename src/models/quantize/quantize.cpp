#include "models/quantize/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/quantize/row_codec.h"

namespace fathom::models {
namespace {

const RowCodec& codec() {
  static const RowCodec& best = *row_codecs().back();
  return best;
}

void narrow_f8(const WeightOut& out, int64_t begin, int64_t count, const float* rows,
               WeightError& error) {
  const int64_t k = out.format.k;
  for (int64_t row = 0; row < count; row += kFp8Block) {
    const int64_t height = std::min<int64_t>(kFp8Block, count - row);
    float* scale = out.scale + (begin + row) / kFp8Block * scale_columns(out.format);
    for (int64_t column = 0; column < k; column += kFp8Block) {
      codec().narrow_f8_block(rows + row * k + column, height, k,
                              std::min<int64_t>(kFp8Block, k - column),
                              out.data + (begin + row) * k + column, scale++, error);
    }
  }
}

void narrow_row(const WeightOut& out, int64_t row, const float* values, WeightError& error) {
  const auto dtype = static_cast<fathom_dtype>(out.format.dtype);
  const int64_t k = out.format.k;
  std::byte* data = out.data + static_cast<size_t>(row) * device::weight_row_bytes(dtype, k);
  float* scale = out.scale + row * scale_columns(out.format);
  switch (dtype) {
    case FATHOM_F32:
      std::memcpy(data, values, static_cast<size_t>(k) * sizeof(float));
      return error.add({0, static_cast<double>(codec().greatest_magnitude(values, k)), 0});
    case FATHOM_BF16:
      return codec().narrow_bf16(values, k, data, error);
    case FATHOM_I8:
      return codec().narrow_i8(values, k, data, scale, error);
    case FATHOM_I4:
      return codec().narrow_i4(values, k, data, scale, error);
    default:
      FATHOM_CHECK(false, "quantize_rows: expected a format that weights are kept in");
  }
}

}  // namespace

void WeightError::add(const WeightError& other) {
  squared_error += other.squared_error;
  squares += other.squares;
  largest = std::max(largest, other.largest);
}

double WeightError::relative() const {
  return squares > 0 ? std::sqrt(squared_error / squares) : 0;
}

bool WeightError::finite() const {
  return std::isfinite(squares) && std::isfinite(squared_error);
}

bool holds_minus_128(const Weight& weight) {
  return codec().any_minus_128(static_cast<const std::byte*>(weight.data), data_bytes(weight));
}

void dequantize_row(const Weight& weight, int64_t row, float* out) {
  const auto dtype = static_cast<fathom_dtype>(weight.dtype);
  const int64_t k = weight.k;
  const auto* data = static_cast<const std::byte*>(weight.data) +
                     static_cast<size_t>(row) * device::weight_row_bytes(dtype, k);
  const float* scale =
      weight.block_n == 0 ? nullptr : weight.scale + row / weight.block_n * scale_columns(weight);
  switch (dtype) {
    case FATHOM_F32:
      std::memcpy(out, data, static_cast<size_t>(k) * sizeof(float));
      return;
    case FATHOM_BF16:
      return codec().widen_bf16(data, k, out);
    case FATHOM_F16:
      return codec().widen_f16(data, k, out);
    case FATHOM_F8_E4M3:
      return codec().widen_f8(data, scale, weight.block_k, k, out);
    case FATHOM_I8:
      return codec().widen_i8(data, scale, weight.block_k, k, out);
    case FATHOM_I4:
      return codec().widen_i4(data, scale, weight.block_k, k, out);
    default:
      FATHOM_CHECK(false, "dequantize_row: expected a format that weights are kept in");
  }
}

void quantize_rows(const WeightOut& out, int64_t begin, int64_t count, const float* rows,
                   WeightError& error) {
  if (out.format.dtype == FATHOM_F8_E4M3) return narrow_f8(out, begin, count, rows, error);
  for (int64_t row = 0; row < count; ++row) {
    narrow_row(out, begin + row, rows + row * out.format.k, error);
  }
}

}  // namespace fathom::models
