// Takes a model's tensors from their source onto a device: in place, packed, requantised or copied,
// several at a time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/deepseek_v3/weights/load_options.h"
#include "models/deepseek_v3/weights/tensor_list.h"

namespace fathom::models::deepseek_v3 {

struct LoadedTensors {
  std::map<std::string, Weight, std::less<>> matrices;
  std::map<std::string, const float*, std::less<>> vectors;
  size_t bytes = 0;     // of both, where they lie now
  device::Arena arena;  // of whatever is not read where the source has it
};

Result<LoadedTensors> load_tensors(const TensorSource& source,
                                   const std::vector<TensorSpec>& tensors, device::Device& device,
                                   const LoadOptions& options);

}  // namespace fathom::models::deepseek_v3
