#include "models/deepseek_v3/ranks/row_parts.h"

#include <algorithm>

#include "models/deepseek_v3/sharding/parallel_layout.h"

namespace fathom::models::deepseek_v3 {

std::span<const int64_t> RowParts::elements(const device::Tensor& x) {
  const auto ranks = static_cast<int64_t>(elements_.size());
  for (int64_t rank = 0; rank < ranks; ++rank) {
    elements_[static_cast<size_t>(rank)] = part_of(x.shape[0], rank, ranks).size() * x.shape[1];
  }
  return elements_;
}

std::span<const size_t> RowParts::bytes(const device::Tensor& x) {
  const size_t width = device::dtype_size(static_cast<fathom_dtype>(x.dtype));
  std::ranges::transform(elements(x), bytes_.begin(),
                         [&](int64_t count) { return static_cast<size_t>(count) * width; });
  return bytes_;
}

}  // namespace fathom::models::deepseek_v3
