// Writes a model's weights as sharded safetensors with their index; docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "models/deepseek_v3/weights/load_options.h"
#include "models/deepseek_v3/weights/tensor_list.h"

namespace fathom::models::deepseek_v3 {

// Into `directory`, which exists. A shard has at most `shard_bytes` unless one tensor alone is
// larger. Returns what config.json must say as quantization_config; null where nothing.
Result<nlohmann::json> write_checkpoint(const TensorSource& source,
                                        const std::vector<TensorSpec>& tensors,
                                        const std::filesystem::path& directory,
                                        uint64_t shard_bytes, const LoadOptions& options);

}  // namespace fathom::models::deepseek_v3
