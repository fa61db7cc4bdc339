// The body of POST /v1/completions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/schema/generation.h"

namespace fathom::api {

// One prompt: text to be tokenised, or tokens as they are.
using PromptInput = std::variant<std::string, std::vector<int32_t>>;

struct CompletionRequest : GenerationFields {
  std::vector<PromptInput> prompts;  // at least one
  bool echo = false;
  std::optional<int32_t> logprobs;
  int32_t best_of = 0;  // 0: as many as n
  bool add_special_tokens = true;
  bool special_tokens = false;
  std::optional<std::string> suffix;  // the answer goes between the prompt and this
};

Result<CompletionRequest> read_completion_request(const Json& body);

const FieldTable<CompletionRequest>& completion_field_table();

// A string, an array of strings, of token ids, or of arrays of token ids.
Status read_prompts(const Json& value, const std::string& path, std::vector<PromptInput>& prompts);

// An array of token ids, each from 0 to 2^31 - 1.
Result<std::vector<int32_t>> read_token_ids(const Json& value, const std::string& path);

}  // namespace fathom::api
