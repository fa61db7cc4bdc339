// Matrices as kernels are given them.
#pragma once

#include "backends/gpu/words.h"
#include "device/abi.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

template <typename T>
struct Rows {
  Global<T> data;
  int64_t stride = 0;

  GPU_DEVICE Global<T> operator()(int64_t row) const { return data + row * stride; }
};

template <typename T>
Rows<T> rows_of(const fathom_tensor& tensor) {
  return {static_cast<T*>(tensor.data), tensor.stride[0]};
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
