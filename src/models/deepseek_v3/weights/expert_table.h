// The experts of a layer as kernels find them: a table of addresses in the chip's memory. It is
// written while loading, and entry by entry where an expert takes the place of another.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/weights/weights.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

// Makes the tables of all layers; `first_layer` is the number of the first block, for messages.
// Error: kUnsupported, where a layer's experts differ in format, shape or layout.
Status make_expert_tables(Weights& weights, int64_t first_layer, device::Device& device);

// The layer's table gets the address of its expert `number`, which has changed, between steps.
// Error: as above.
Status update_expert(MoeWeights& moe, size_t number, int64_t layer, device::Device& device);

ops::MoeExperts experts_of(const MoeWeights& moe);

}  // namespace fathom::models::deepseek_v3
