#include "api/output/answer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/http/reply.h"
#include "base/utf8.h"

namespace fathom::api {

const char* to_string(AnswerEnd end) {
  switch (end) {
    case AnswerEnd::kStop:
      return "stop";
    case AnswerEnd::kLength:
      return "length";
    case AnswerEnd::kToolCalls:
      return "tool_calls";
  }
  return "stop";
}

Json head_json(const AnswerHead& head) {
  return {
      {"id", head.id}, {"object", head.object}, {"created", head.created}, {"model", head.model}};
}

Json usage_json(const UsageCounts& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
          {"prompt_cache_hit_tokens", usage.cached_tokens},
          {"prompt_cache_miss_tokens", usage.prompt_tokens - usage.cached_tokens}};
}

void end_stream(Reply& reply, Json head, const UsageCounts& usage, bool include_usage) {
  if (include_usage) {
    head["choices"] = Json::array();
    head["usage"] = usage_json(usage);
    reply.event(head);
  }
  reply.event_text("[DONE]");
  reply.end_events();
}

void fail_stream(Reply& reply, const ApiError& error, bool begun) {
  if (!begun) return reply.send_error(error);
  reply.error_event(error);
  reply.end_events();
}

void add_end(const std::optional<ChoiceEnd>& end, Json& choice) {
  choice["finish_reason"] = end ? Json(to_string(end->reason)) : Json();
  if (end && end->stop_string) choice["stop_reason"] = *end->stop_string;
}

double finite_logprob(float logprob) {
  return std::max(static_cast<double>(logprob), -9999.0);
}

std::string TokenWords::text(tokenizer::TokenId id) const {
  if (as_ids_) return fmt::format("token_id:{}", id);
  return replace_invalid_utf8(tokenizer_.token_bytes(id));
}

std::string TokenWords::name(tokenizer::TokenId id) const {
  if (as_ids_) return fmt::format("token_id:{}", id);
  const std::string_view bytes = tokenizer_.token_bytes(id);
  if (valid_utf8_prefix(bytes) == bytes.size()) return std::string(bytes);
  std::string escaped = "bytes:";
  for (const char c : bytes) escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return escaped;
}

Json TokenWords::bytes(tokenizer::TokenId id) const {
  Json list = Json::array();
  for (const char c : tokenizer_.token_bytes(id)) list.push_back(static_cast<unsigned char>(c));
  return list;
}

Json chat_token_json(const TokenWords& words, const engine::TokenLogprob& token) {
  const auto one = [&words](tokenizer::TokenId id, float logprob) {
    return Json{{"token", words.text(id)},
                {"logprob", finite_logprob(logprob)},
                {"bytes", words.bytes(id)}};
  };
  Json top = Json::array();
  for (const auto& [id, logprob] : token.top) top.push_back(one(id, logprob));
  Json entry = one(token.token, token.logprob);
  entry["top_logprobs"] = std::move(top);
  return entry;
}

}  // namespace fathom::api
