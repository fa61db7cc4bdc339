// How the rows of a tensor are divided over the ranks that have the same tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/tensor.h"

namespace fathom::models::deepseek_v3 {

// Answers are valid until the next question.
class RowParts {
 public:
  explicit RowParts(int64_t ranks)
      : elements_(static_cast<size_t>(ranks)), bytes_(static_cast<size_t>(ranks)) {}

  std::span<const int64_t> elements(const device::Tensor& x);
  std::span<const size_t> bytes(const device::Tensor& x);

 private:
  std::vector<int64_t> elements_;
  std::vector<size_t> bytes_;
};

}  // namespace fathom::models::deepseek_v3
