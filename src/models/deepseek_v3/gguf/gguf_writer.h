// Writes a model as one GGUF file that llama.cpp runs (architecture "deepseek2"). It has no place
// for the MTP layer.
#pragma once

#include <filesystem>

#include "models/deepseek_v3/weights/load_options.h"
#include "models/deepseek_v3/weights/tensor_list.h"
#include "models/files/gguf.h"

namespace fathom::models::deepseek_v3 {

// `type` is of the linear and expert matrices: F16, BF16, Q8_0 or Q4_0. With Q4_0 the embedding,
// the head and wkv_b are Q8_0; the router and vectors are F32, and rows that are no whole number of
// blocks BF16. `header` holds what else the file is to say (name, tokenizer).
Status write_gguf(const TensorSource& source, const Config& config, GgmlType type,
                  GgufHeader header, const std::filesystem::path& file, const LoadOptions& options);

}  // namespace fathom::models::deepseek_v3
