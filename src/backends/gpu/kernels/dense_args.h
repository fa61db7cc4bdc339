// What several operators ask of the tensors they are given. Host code.
#pragma once

#include <cstdint>
#include <string>

#include "backends/gpu/kernel_set.h"
#include "device/last_error.h"

namespace fathom::gpu {

inline fathom_status not_taken(const char* op, const char* what) {
  return device::fail(FATHOM_UNSUPPORTED, std::string(op) + ": expected " + what);
}

// A matrix of that type whose rows have `columns` elements behind each other.
inline bool is_matrix(const fathom_tensor& tensor, int32_t dtype, int64_t columns) {
  return tensor.dtype == dtype && tensor.rank == 2 && tensor.shape[1] == columns &&
         tensor.stride[1] == 1;
}

// Whether each of its rows begins at a multiple of `bytes`. The contract aligns its first byte.
inline bool are_rows_aligned(const fathom_tensor& tensor, int element_bytes, int bytes) {
  return reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uintptr_t>(bytes) == 0 &&
         tensor.stride[0] * element_bytes % bytes == 0;
}

}  // namespace fathom::gpu
