#include "api/schema/completion.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace fathom::api {

namespace {

constexpr size_t kMaxPrompts = 1024;
constexpr int32_t kMaxLogprobs = 20;
constexpr int64_t kMaxTokenId = std::numeric_limits<int32_t>::max();

Status read_prompt(const Json& value, const std::string& path, std::vector<PromptInput>& prompts) {
  if (value.is_string()) {
    prompts.emplace_back(value.get<std::string>());
    return {};
  }
  if (!value.is_array()) return expected(path, "a string or an array of token ids", value);
  if (value.empty())
    return invalid_argument(path + ": expected a prompt, got an empty array", path);
  FATHOM_ASSIGN(std::vector<int32_t> ids, read_token_ids(value, path));
  prompts.emplace_back(std::move(ids));
  return {};
}

FieldTable<CompletionRequest> make_table() {
  using R = CompletionRequest;
  return {
      {{"prompt", "string or array", "Text, token ids, or a list of either.", "", {}, {}, true},
       [](const Json& value, const std::string& path, R& request) {
         return read_prompts(value, path, request.prompts);
       }},
      bool_field<R>("echo", &R::echo, "false", "Begin the answer with the prompt."),
      integer_field<R>("logprobs", &R::logprobs, 0, kMaxLogprobs, "none",
                       "Give log-probabilities, with that many likeliest tokens each."),
      integer_field<R>("best_of", &R::best_of, 0, 128, "n", "Only n itself is supported."),
      bool_field<R>("add_special_tokens", &R::add_special_tokens, "true",
                    "Begin text prompts with the model's first token, if it has one."),
      bool_field<R>("special_tokens", &R::special_tokens, "false",
                    "Text that spells a special token in a prompt is that token, as in a prompt "
                    "that a chat template rendered. Only for text that you trust."),
      string_field<R>("suffix", &R::suffix, "",
                      "Fill in the middle: what follows the answer. Prompts must be text."),
  };
}

}  // namespace

Result<std::vector<int32_t>> read_token_ids(const Json& value, const std::string& path) {
  if (!value.is_array()) return expected(path, "an array of token ids", value);
  std::vector<int32_t> ids;
  ids.reserve(value.size());
  for (size_t i = 0; i < value.size(); ++i) {
    // The path is only needed for what is wrong, and there may be very many tokens.
    auto id = read_integer(value[i], path, 0, kMaxTokenId);
    if (!id) return expected(index_path(path, i), "a token id", value[i]);
    ids.push_back(static_cast<int32_t>(*id));
  }
  return ids;
}

Status read_prompts(const Json& value, const std::string& path, std::vector<PromptInput>& prompts) {
  const bool list = value.is_array() && !value.empty() && !value.front().is_number();
  if (!list) return read_prompt(value, path, prompts);
  return read_array(value, path, kMaxPrompts, [&](const Json& item, const std::string& at) {
    return read_prompt(item, at, prompts);
  });
}

const FieldTable<CompletionRequest>& completion_field_table() {
  static const FieldTable<CompletionRequest> table = make_table();
  return table;
}

Result<CompletionRequest> read_completion_request(const Json& body) {
  if (!body.is_object()) return expected("request body", "an object", body);
  CompletionRequest request;
  FATHOM_TRY(read_fields<GenerationFields>(generation_field_table(), body, "", request));
  FATHOM_TRY(read_fields(completion_field_table(), body, "", request));
  FATHOM_TRY(check_generation_fields(request, body));
  if (request.suffix && request.echo) {
    return invalid_argument("echo: expected false with a suffix, got true", "echo");
  }
  if (request.suffix && request.special_tokens) {
    return invalid_argument("special_tokens: expected false with a suffix, got true",
                            "special_tokens");
  }
  if (request.best_of > 1 && request.best_of != request.n) {
    return unsupported("best_of", "expected n (" + std::to_string(request.n) + "), got " +
                                      std::to_string(request.best_of));
  }
  return request;
}

}  // namespace fathom::api
