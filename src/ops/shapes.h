// Shape checks shared by the operators: a violated shape is our own bug.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/check.h"
#include "device/tensor.h"

namespace fathom::ops {

inline void expect_matrix(const char* op, const char* name, const device::Tensor& tensor,
                          int64_t rows, int64_t columns) {
  FATHOM_CHECK(tensor.rank == 2 && tensor.shape[0] == rows && tensor.shape[1] == columns,
               fmt::format("{}: expected {} [{}, {}], got [{}, {}]", op, name, rows, columns,
                           tensor.shape[0], tensor.shape[1]));
}

inline void expect_weight(const char* op, const char* name, const device::Weight& weight, int64_t n,
                          int64_t k) {
  FATHOM_CHECK(weight.n == n && weight.k == k, fmt::format("{}: expected {} [{}, {}], got [{}, {}]",
                                                           op, name, n, k, weight.n, weight.k));
}

}  // namespace fathom::ops
