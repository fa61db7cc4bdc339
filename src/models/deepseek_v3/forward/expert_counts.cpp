#include "models/deepseek_v3/forward/expert_counts.h"

#include <algorithm>

namespace fathom::models::deepseek_v3 {

Result<ExpertCounts> ExpertCounts::make(device::Device& device, int64_t* memory, int64_t layers,
                                        int64_t experts) {
  ExpertCounts counts;
  const auto all = static_cast<size_t>(layers * experts);
  counts.device_ = &device;
  counts.experts_ = experts;
  counts.memory_ = memory;
  counts.read_before_.resize(all);
  counts.counted_.resize(all);
  FATHOM_ASSIGN(counts.staging_, Staging::make(device, bytes(layers, experts)));
  std::fill_n(counts.staging_.host(memory), all, int64_t{0});
  FATHOM_TRY(counts.staging_.put(memory, bytes(layers, experts)));
  FATHOM_TRY(device.synchronize());
  return counts;
}

Status ExpertCounts::read() {
  FATHOM_TRY(staging_.fetch(memory_, read_before_.size() * sizeof(int64_t)));
  FATHOM_TRY(device_->synchronize());
  const int64_t* totals = staging_.host(memory_);
  for (size_t i = 0; i < read_before_.size(); ++i) {
    counted_[i] = static_cast<float>(totals[i] - read_before_[i]);
    read_before_[i] = totals[i];
  }
  return {};
}

}  // namespace fathom::models::deepseek_v3
