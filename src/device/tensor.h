// Views of device memory, in the contract's own type, with the few ways of cutting them we need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "device/abi.h"

namespace fathom::device {

using Tensor = fathom_tensor;
using Weight = fathom_weight;

// Bytes of one element.
size_t dtype_size(fathom_dtype dtype);
// Bytes of one row [k] of a weight that lies in rows.
size_t weight_row_bytes(fathom_dtype dtype, int64_t k);
// "f32", "bf16", "f8_e4m3", ...
const char* dtype_name(fathom_dtype dtype);

// A dense [rows, columns] view.
inline Tensor matrix(void* data, fathom_dtype dtype, int64_t rows, int64_t columns) {
  return {data, dtype, 2, {rows, columns, 1, 1}, {columns, 1, 1, 1}};
}

// No tensor: what optional arguments of an operator are when left out.
inline Tensor none() {
  return {nullptr, FATHOM_F32, 0, {1, 1, 1, 1}, {1, 1, 1, 1}};
}

inline void* offset(const Tensor& tensor, int64_t elements) {
  const auto size = dtype_size(static_cast<fathom_dtype>(tensor.dtype));
  return static_cast<std::byte*>(tensor.data) + elements * static_cast<int64_t>(size);
}

// Rows [begin, begin + count) of a matrix.
inline Tensor rows(Tensor tensor, int64_t begin, int64_t count) {
  FATHOM_CHECK(begin >= 0 && count >= 0 && begin + count <= tensor.shape[0], "rows: out of range");
  tensor.data = offset(tensor, begin * tensor.stride[0]);
  tensor.shape[0] = count;
  return tensor;
}

// Columns [begin, begin + count) of a matrix; its rows keep their stride.
inline Tensor columns(Tensor tensor, int64_t begin, int64_t count) {
  FATHOM_CHECK(begin >= 0 && count >= 0 && begin + count <= tensor.shape[1],
               "columns: out of range");
  tensor.data = offset(tensor, begin);
  tensor.shape[1] = count;
  return tensor;
}

}  // namespace fathom::device
