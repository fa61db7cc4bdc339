#include "serving/model_input.h"

#include <fstream>
#include <sstream>

#include "base/json_file.h"
#include "base/log.h"
#include "models/deepseek_v3/gguf/gguf_config.h"
#include "models/deepseek_v3/gguf/gguf_source.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "models/deepseek_v3/weights/synthetic.h"
#include "models/deepseek_v3/weights/tensor_list.h"
#include "serving/gguf_tokenizer.h"
#include "serving/model_path.h"
#include "serving/synthetic_tokenizer.h"

namespace fathom::serving {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

Result<ModelInput> open_directory(const fs::path& directory) {
  ModelInput input;
  input.name = directory.string();
  FATHOM_TRY(check_model_directory(directory));
  FATHOM_ASSIGN(input.config_json, read_json_file(directory / "config.json"));
  FATHOM_ASSIGN(input.config, dsv3::Config::load(directory / "config.json"));
  FATHOM_ASSIGN(input.source, dsv3::CheckpointSource::open(directory, input.config));
  if (dsv3::drop_absent_mtp(*input.source, input.config)) {
    input.config_json["num_nextn_predict_layers"] = 0;
    log_info("{}: the MTP layer of config.json is not stored: nothing is drafted", input.name);
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                           "generation_config.json"}) {
    std::ifstream file(directory / name, std::ios::binary);
    if (!file) continue;
    std::ostringstream text;
    text << file.rdbuf();
    input.texts[name] = text.str();
  }
  return input;
}

Result<ModelInput> open_gguf(const fs::path& path) {
  ModelInput input;
  input.name = path.string();
  FATHOM_ASSIGN(auto file, models::GgufFile::open(path));
  FATHOM_ASSIGN(input.config_json, dsv3::config_of_gguf(*file));
  auto config = dsv3::Config::parse(input.config_json);
  if (!config) return config.error().with_context(path.string());
  input.config = *config;
  FATHOM_ASSIGN(input.texts, texts_of_gguf(*file));
  input.source = std::make_shared<const dsv3::GgufSource>(std::move(file), input.config);
  return input;
}

Result<ModelInput> open_synthetic(const std::string& name) {
  ModelInput input;
  input.name = name;
  FATHOM_ASSIGN(input.config_json, dsv3::synthetic_config(name));
  FATHOM_ASSIGN(input.config, dsv3::Config::parse(input.config_json));
  input.source = std::make_shared<const dsv3::SyntheticSource>();
  input.texts = synthetic_tokenizer(input.config.vocab_size);
  return input;
}

}  // namespace fathom::serving
