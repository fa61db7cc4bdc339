// What a command reads a model from: a directory, a GGUF file, or a synthetic one by name.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "models/deepseek_v3/config/config.h"
#include "models/tensor_source.h"

namespace fathom::serving {

struct ModelInput {
  std::string name;  // for messages and file names
  nlohmann::json config_json;
  models::deepseek_v3::Config config;
  std::shared_ptr<const models::TensorSource> source;
  // tokenizer.json, tokenizer_config.json, chat_template.jinja, generation_config.json: those there
  // are.
  std::map<std::string, std::string> texts;
};

Result<ModelInput> open_directory(const std::filesystem::path& directory);
Result<ModelInput> open_gguf(const std::filesystem::path& file);
Result<ModelInput> open_synthetic(const std::string& name);

}  // namespace fathom::serving
