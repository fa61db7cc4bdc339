// The tensors that a checkpoint holds and their formats: what a plan needs of them.
#pragma once

#include <vector>

#include "models/deepseek_v3/weights/tensor_list.h"

namespace fathom::models::deepseek_v3 {

struct ManifestEntry {
  TensorSpec spec;
  Weight stored = {};  // its format, without data; of a vector that of [1, n]
};

// What config.json alone says, of a checkpoint as released or as `fathom convert` writes it. FP8
// checkpoints keep embeddings, heads, routers and the MTP layer's eh_proj in BF16. Models of more
// than 4 million tensors or 2^50 numbers are refused, before they are listed.
Result<std::vector<ManifestEntry>> tensor_manifest(const Config& config);
// What `source` has; shapes and types are checked, but for vectors.
Result<std::vector<ManifestEntry>> tensor_manifest(const Config& config,
                                                   const TensorSource& source);

}  // namespace fathom::models::deepseek_v3
