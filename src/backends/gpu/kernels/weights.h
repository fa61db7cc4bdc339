// Weights in rows, as the contract has them: BF16 without scales, E4M3 and I8 with.
#pragma once

#include <type_traits>

#include "backends/gpu/words.h"
#include "device/abi.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

template <typename W>
constexpr bool kIsScaled = !std::is_same_v<W, bf16>;

// One row of a weight; data is null where there is none: zeros.
template <typename W>
struct WeightRow {
  Global<const W> data;
  Global<const float> scale;  // one for each block of columns
};

// Format and shape of one weight, or of all experts' alike.
struct WeightShape {
  int64_t n;
  int64_t k;
  int32_t block_n;
  int32_t block_k;
};

template <typename W>
struct Weights {
  Global<const W> data;
  Global<const float> scale;
  WeightShape shape;

  GPU_DEVICE WeightRow<W> row(int64_t i) const {
    WeightRow<W> row;
    if (i >= shape.n) return row;
    row.data = data + i * shape.k;
    if constexpr (kIsScaled<W>) {
      row.scale = scale + i / shape.block_n * ((shape.k + shape.block_k - 1) / shape.block_k);
    }
    return row;
  }
};

inline WeightShape shape_of(const fathom_weight& weight) {
  return {weight.n, weight.k, weight.block_n, weight.block_k};
}

template <typename W>
Weights<W> weights_of(const fathom_weight& weight) {
  return {static_cast<const W*>(weight.data), weight.scale, shape_of(weight)};
}

// call(W()) for the type of the weight's elements.
template <typename Call>
fathom_status with_weight_type(const fathom_weight& weight, Call call) {
  switch (weight.dtype) {
    case FATHOM_BF16:
      return call(bf16());
    case FATHOM_F8_E4M3:
      return call(e4m3());
    case FATHOM_I8:
      return call(int8_t());
    default:
      return FATHOM_UNSUPPORTED;
  }
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
