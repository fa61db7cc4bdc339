// How often a rank's tokens chose each routed expert, by layer. The chip counts: MOE_GATE adds to
// totals in its memory, and the host reads them when somebody asks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/step/staging.h"

namespace fathom::models::deepseek_v3 {

class ExpertCounts {
 public:
  static size_t bytes(int64_t layers, int64_t experts) {
    return static_cast<size_t>(layers * experts) * sizeof(int64_t);
  }
  // In device `memory` of bytes().
  static Result<ExpertCounts> make(device::Device& device, int64_t* memory, int64_t layers,
                                   int64_t experts);

  // The chip's totals [experts] of a layer.
  int64_t* totals(int64_t layer) const { return memory_ + layer * experts_; }

  // Waits for the chip and takes in what it has counted since the last time.
  Status read();
  // That, [experts]; F32 for sums over ranks, whole up to 2^24.
  std::span<float> counted(int64_t layer) {
    return std::span(counted_).subspan(static_cast<size_t>(layer * experts_),
                                       static_cast<size_t>(experts_));
  }

 private:
  device::Device* device_ = nullptr;
  int64_t experts_ = 0;
  int64_t* memory_ = nullptr;
  Staging staging_;
  std::vector<int64_t> read_before_;
  std::vector<float> counted_;
};

}  // namespace fathom::models::deepseek_v3
