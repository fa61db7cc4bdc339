// Takes single tensors of a checkpoint onto a device: shapes and formats checked, FP8 with its
// block scales, vectors widened to F32.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/deepseek_v3/weights.h"

namespace fathom::models::deepseek_v3 {

class WeightLoader {
 public:
  // Arena bytes that loading this checkpoint takes at most on this device.
  static size_t plan_bytes(const Checkpoint& checkpoint, const device::Device& device);

  WeightLoader(const Checkpoint& checkpoint, const Config& config, device::Device& device,
               device::Arena& arena, const LoadProgress& progress)
      : checkpoint_(checkpoint),
        config_(config),
        device_(device),
        arena_(arena),
        progress_(progress) {}

  bool contains(std::string_view name) const { return checkpoint_.contains(name); }

  // A linear weight [n, k]: F32, BF16, or F8_E4M3 with `<name>_scale_inv`.
  Result<Weight> matrix(const std::string& name, int64_t n, int64_t k);
  // A vector [n] stored as F32 or BF16, all finite, as F32 on the device.
  Result<const float*> vector(const std::string& name, int64_t n);

 private:
  Result<const void*> place(const StoredTensor& tensor);
  Result<const float*> block_scales(const std::string& name, int64_t n, int64_t k);
  void report(size_t bytes);

  const Checkpoint& checkpoint_;
  const Config& config_;
  device::Device& device_;
  device::Arena& arena_;
  const LoadProgress& progress_;
  size_t done_bytes_ = 0;
};

}  // namespace fathom::models::deepseek_v3
