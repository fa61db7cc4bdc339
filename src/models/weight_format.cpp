#include "models/weight_format.h"

namespace fathom::models {
namespace {

int64_t divide_up(int64_t value, int64_t by) {
  return (value + by - 1) / by;
}

}  // namespace

const char* to_string(WeightFormat format) {
  switch (format) {
    case WeightFormat::kAsStored:
      return "as-stored";
    case WeightFormat::kBf16:
      return "bf16";
    case WeightFormat::kFp8:
      return "fp8";
    case WeightFormat::kInt8:
      return "int8";
    case WeightFormat::kInt4:
      return "int4";
  }
  return "unknown";
}

fathom_dtype choose_dtype(WeightFormat format, WeightUse use, fathom_dtype stored, int64_t k) {
  if (use == WeightUse::kEmbedding || use == WeightUse::kRouter) return stored;
  switch (format) {
    case WeightFormat::kAsStored:
      return stored;
    case WeightFormat::kBf16:
      return FATHOM_BF16;
    case WeightFormat::kFp8:
      return FATHOM_F8_E4M3;
    case WeightFormat::kInt8:
      return FATHOM_I8;
    case WeightFormat::kInt4:
      break;
  }
  const bool sensitive = use == WeightUse::kAttention || use == WeightUse::kHead;
  const bool pairs = k % 2 == 0;  // two columns share a byte
  return sensitive || !pairs ? FATHOM_I8 : FATHOM_I4;
}

Weight weight_in_rows(fathom_dtype dtype, int64_t n, int64_t k) {
  Weight weight = {};
  weight.dtype = dtype;
  weight.layout = FATHOM_LAYOUT_ROWS;
  weight.n = n;
  weight.k = k;
  if (dtype == FATHOM_F8_E4M3) {
    weight.block_n = weight.block_k = kFp8Block;
  } else if (dtype == FATHOM_I8 || dtype == FATHOM_I4) {
    weight.block_n = 1;
    weight.block_k = dtype == FATHOM_I8 ? kInt8Group : kInt4Group;
  }
  return weight;
}

Weight choose_format(WeightFormat format, WeightUse use, const Weight& stored) {
  const auto stored_as = static_cast<fathom_dtype>(stored.dtype);
  const auto dtype = choose_dtype(format, use, stored_as, stored.k);
  if (dtype != stored_as) return weight_in_rows(dtype, stored.n, stored.k);
  Weight same = stored;
  same.data = nullptr;
  same.scale = nullptr;
  return same;
}

size_t data_bytes(const Weight& weight) {
  return static_cast<size_t>(weight.n) *
         device::weight_row_bytes(static_cast<fathom_dtype>(weight.dtype), weight.k);
}

int64_t scale_columns(const Weight& weight) {
  return weight.block_k == 0 ? 0 : divide_up(weight.k, weight.block_k);
}

int64_t scale_rows(const Weight& weight) {
  return weight.block_n == 0 ? 0 : divide_up(weight.n, weight.block_n);
}

size_t scale_bytes(const Weight& weight) {
  return static_cast<size_t>(scale_rows(weight) * scale_columns(weight)) * sizeof(float);
}

size_t weight_bytes(const Weight& weight) {
  return data_bytes(weight) + scale_bytes(weight);
}

bool same_format(const Weight& a, const Weight& b) {
  return a.dtype == b.dtype && a.block_n == b.block_n && a.block_k == b.block_k;
}

}  // namespace fathom::models
