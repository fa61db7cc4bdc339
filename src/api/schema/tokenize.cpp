#include "api/schema/tokenize.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "api/schema/completion.h"  // read_token_ids

namespace fathom::api {

namespace {

FieldTable<TokenizeRequest> make_tokenize_table() {
  using R = TokenizeRequest;
  return {
      string_field<R>("model", &R::model, "the served model", "Name of the model."),
      string_field<R>("prompt", &R::prompt, "", "Text; or give messages."),
      {{"messages", "array", "A conversation, put through the chat template."},
       [](const Json& value, const std::string& path, R& request) {
         return read_messages(value, path, request.messages);
       }},
      {{"tools", "array", "Functions that the model may call."},
       [](const Json& value, const std::string& path, R& request) {
         std::vector<std::string> names;
         return read_tools(value, path, request.tools, names);
       }},
      {{"chat_template_kwargs", "object", "thinking or enable_thinking: a boolean."},
       [](const Json& value, const std::string& path, R& request) {
         return read_template_kwargs(value, path, request.thinking);
       }},
      bool_field<R>("add_special_tokens", &R::add_special_tokens, "true",
                    "Begin a prompt with the model's first token, if it has one."),
      bool_field<R>("special_tokens", &R::special_tokens, "false",
                    "Text that spells a special token in a prompt is that token."),
      bool_field<R>("add_generation_prompt", &R::add_generation_prompt, "true",
                    "End a conversation where the answer would begin."),
      bool_field<R>("return_token_strs", &R::return_token_strs, "false",
                    "Give each token's text, too."),
  };
}

FieldTable<DetokenizeRequest> make_detokenize_table() {
  using R = DetokenizeRequest;
  return {
      string_field<R>("model", &R::model, "the served model", "Name of the model."),
      {{"tokens", "array", "Token ids.", "", {}, {}, true},
       [](const Json& value, const std::string& path, R& request) -> Status {
         FATHOM_ASSIGN(request.tokens, read_token_ids(value, path));
         return {};
       }},
  };
}

}  // namespace

const FieldTable<TokenizeRequest>& tokenize_field_table() {
  static const FieldTable<TokenizeRequest> table = make_tokenize_table();
  return table;
}

const FieldTable<DetokenizeRequest>& detokenize_field_table() {
  static const FieldTable<DetokenizeRequest> table = make_detokenize_table();
  return table;
}

Result<TokenizeRequest> read_tokenize_request(const Json& body) {
  if (!body.is_object()) return expected("request body", "an object", body);
  TokenizeRequest request;
  FATHOM_TRY(read_fields(tokenize_field_table(), body, "", request));
  if (request.prompt.has_value() == !request.messages.empty()) {
    return invalid_argument("prompt: expected either prompt or messages, got " +
                                std::string(request.prompt ? "both" : "neither"),
                            "prompt");
  }
  return request;
}

Result<DetokenizeRequest> read_detokenize_request(const Json& body) {
  if (!body.is_object()) return expected("request body", "an object", body);
  DetokenizeRequest request;
  FATHOM_TRY(read_fields(detokenize_field_table(), body, "", request));
  return request;
}

}  // namespace fathom::api
