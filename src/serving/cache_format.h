// The layout of the KV cache in memory: what the flags ask for, if the chip supports it, otherwise
// what the chip prefers.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/config/config.h"
#include "models/tensor_source.h"
#include "serving/options.h"

namespace fathom::serving {

// Tokens a block. `wanted` is --kv-block-size, 0: the first that the chip `offers`; of a chip that
// offers none any size of the contract will do.
Result<int32_t> choose_kv_block_size(int64_t wanted, std::span<const int32_t> offers,
                                     const std::string& chip);

// Numbers in the cache of a model that is loaded as `options` say.
Result<fathom_dtype> choose_kv_dtype(const StackOptions& options,
                                     const models::TensorSource& source,
                                     const models::deepseek_v3::Config& config,
                                     const device::Device& device);

// "bf16, blocks of 32" or "f32, blocks of 64 in two planes".
std::string cache_format_text(const models::RunLimits& limits, const device::Device& device);

// What engines that hand blocks to each other must have in common: the flags and the chip's format.
std::string cache_identity(const StackOptions& options, const device::Device& device);

}  // namespace fathom::serving
