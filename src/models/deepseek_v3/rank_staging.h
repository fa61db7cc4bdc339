// The host's side of what a rank passes to others in a step: ranks exchange the host's memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config.h"
#include "models/deepseek_v3/layout.h"
#include "models/deepseek_v3/staging.h"

namespace fathom::models::deepseek_v3 {

// How the rows of a tensor are divided over `ranks` of them; valid until the next question.
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

struct RankStaging {
  // For steps of at most `rows` rows.
  static Result<RankStaging> make(device::Device& device, const Config& config,
                                  const Layout& layout, int64_t rows);

  // Pinned memory that it takes.
  size_t bytes() const { return rows.bytes() + expert_ids.bytes() + expert_weights.bytes(); }

  Staging rows;            // of one tensor at a time
  Staging expert_ids;      // [T, top_k]
  Staging expert_weights;  // [T, top_k]
  RowParts parts;
};

}  // namespace fathom::models::deepseek_v3
