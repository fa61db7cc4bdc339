// A serving stack put together: chip, model, engine, tokenizer, template. `serve`, `chat` and
// `bench` start from here, so that they measure and run the same thing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "device/device.h"
#include "device/registry.h"
#include "engine/engine.h"
#include "jinja/chat_template.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/cost.h"
#include "models/deepseek_v3/model.h"
#include "serving/load_report.h"
#include "serving/membership.h"
#include "serving/options.h"
#include "tokenizer/tokenizer.h"

namespace fathom::serving {

// Owners in the order they depend on each other; destroyed in reverse.
struct Stack {
  std::unique_ptr<device::Registry> registry;
  std::unique_ptr<device::Device> device;
  Membership membership;
  models::deepseek_v3::Config config;
  tokenizer::Tokenizer tokenizer;
  std::optional<jinja::ChatTemplate> chat_template;  // models that only complete have none
  bool add_bos_token = false;  // text prompts begin with the model's first token
  std::optional<models::deepseek_v3::CostModel> cost;  // where one rank has the whole model
  LoadReport loading;
  // Exactly one of the two: rank 0 has the engine, over all ranks; the others follow it.
  std::unique_ptr<engine::Engine> engine = nullptr;
  std::unique_ptr<models::deepseek_v3::Model> follower = nullptr;
  std::string model_hash = {};  // of a prefill or a decode engine
};

// Errors name the file, tensor, field or flag at fault.
Result<Stack> build_stack(const StackOptions& options);

}  // namespace fathom::serving
