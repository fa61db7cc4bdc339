// What generation_config.json and tokenizer_config.json say beside the tokenizer: where answers end
// and how prompts begin. A file or a field that is absent, or null, says nothing.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "models/deepseek_v3/config/config.h"
#include "tokenizer/tokenizer.h"

namespace fathom::serving {

// Adds to config.json's end tokens those that only generation_config.json (eos_token_id) or
// tokenizer_config.json (eos_token) names. `texts` are files by name (ModelInput). Errors:
// kDataCorrupt for ids beyond the vocabulary.
Status add_end_tokens(const std::map<std::string, std::string>& texts,
                      const tokenizer::Tokenizer& tokenizer, models::deepseek_v3::Config& config);

// Whether tokenizer_config.json wants text prompts to begin with the bos token.
Result<bool> adds_bos_token(const std::map<std::string, std::string>& texts);

}  // namespace fathom::serving
