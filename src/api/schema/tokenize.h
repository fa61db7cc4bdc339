// The bodies of POST /tokenize and /detokenize, which are vLLM's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/schema/chat.h"

namespace fathom::api {

struct TokenizeRequest {
  std::optional<std::string> model;
  std::optional<std::string> prompt;  // either this
  std::vector<ChatMessage> messages;  // or these
  std::shared_ptr<const Json> tools;
  std::optional<bool> thinking;
  bool add_special_tokens = true;  // of a prompt; a template brings its own
  bool special_tokens = false;     // likewise
  bool add_generation_prompt = true;
  bool return_token_strs = false;
};

struct DetokenizeRequest {
  std::optional<std::string> model;
  std::vector<int32_t> tokens;
};

Result<TokenizeRequest> read_tokenize_request(const Json& body);
Result<DetokenizeRequest> read_detokenize_request(const Json& body);

const FieldTable<TokenizeRequest>& tokenize_field_table();
const FieldTable<DetokenizeRequest>& detokenize_field_table();

}  // namespace fathom::api
