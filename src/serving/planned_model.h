// A model as its files describe it, without its weights.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/weights/tensor_manifest.h"

namespace fathom::serving {

struct PlannedModel {
  models::deepseek_v3::Config config;
  std::vector<models::deepseek_v3::ManifestEntry> tensors;
};
// A model's directory, or its config.json: the tensors are as the files' headers say where there
// are some, else as config.json does.
Result<PlannedModel> planned_model(const std::filesystem::path& model);

}  // namespace fathom::serving
