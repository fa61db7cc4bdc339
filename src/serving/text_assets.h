// What a model needs to read and write text: tokenizer and chat template.
#pragma once

#include <optional>

#include "base/result.h"
#include "jinja/chat_template.h"
#include "serving/model_input.h"
#include "serving/options.h"
#include "tokenizer/tokenizer.h"

namespace fathom::serving {

struct TextAssets {
  tokenizer::Tokenizer tokenizer;
  std::optional<jinja::ChatTemplate> chat_template;  // models that only complete have none
  bool add_bos_token = false;  // text prompts begin with the model's first token
};

// Of the model's files, or made up for one without any. Errors name the file at fault.
Result<TextAssets> load_texts(const StackOptions& options, const ModelInput& input);

}  // namespace fathom::serving
