#include "serving/planned_model.h"

#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "models/deepseek_v3/weights/tensor_list.h"
#include "serving/model_path.h"

namespace fathom::serving {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

Result<PlannedModel> planned_model(const fs::path& model) {
  std::error_code ignored;
  const bool is_directory = fs::is_directory(model, ignored);
  PlannedModel made;
  if (model.extension() != ".json") FATHOM_TRY(check_model_directory(model));
  FATHOM_ASSIGN(made.config, dsv3::Config::load(is_directory ? model / "config.json" : model));
  for (const auto& entry : fs::directory_iterator(model, ignored)) {
    if (entry.path().extension() != ".safetensors") continue;
    FATHOM_ASSIGN(const auto source, dsv3::CheckpointSource::open(model, made.config));
    dsv3::drop_absent_mtp(*source, made.config);
    FATHOM_ASSIGN(made.tensors, dsv3::tensor_manifest(made.config, *source));
    return made;
  }
  FATHOM_ASSIGN(made.tensors, dsv3::tensor_manifest(made.config));
  return made;
}

}  // namespace fathom::serving
