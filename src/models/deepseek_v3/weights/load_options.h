// What reads the weights of a checkpoint, to load or to convert them, is told.
#pragma once

#include <cstddef>
#include <functional>

#include "models/quantize/weight_report.h"
#include "models/weight_format.h"

namespace fathom::models::deepseek_v3 {

// Bytes read so far, of how many. Called now and then while loading, on the caller's thread.
using LoadProgress = std::function<void(size_t done, size_t total)>;

struct LoadOptions {
  WeightFormat format = WeightFormat::kAsStored;
  int threads = 0;                 // 0: one a core
  WeightReport* report = nullptr;  // hears of each requantised tensor
  LoadProgress progress = {};
};

}  // namespace fathom::models::deepseek_v3
