#include "api/completion_logprobs.h"

#include <nlohmann/json.hpp>

#include "api/text_search.h"
#include "tokenizer/detokenizer.h"

namespace fathom::api {

namespace {

// The likeliest tokens and the one that was taken. Tokens that read alike share a key; the
// likeliest counts.
Json top_json(const TokenWords& words, const engine::TokenLogprob& token) {
  Json json = Json::object();
  const auto add = [&](tokenizer::TokenId id, float logprob) {
    json.emplace(words.name(id), finite_logprob(logprob));
  };
  for (const auto& [id, logprob] : token.top) add(id, logprob);
  add(token.token, token.logprob);
  return json;
}

}  // namespace

PromptEcho echo_prompt(const tokenizer::Tokenizer& tokenizer,
                       std::span<const tokenizer::TokenId> prompt, bool skip_special_tokens) {
  PromptEcho echo;
  tokenizer::Detokenizer detokenizer(tokenizer, skip_special_tokens);
  const auto append = [&echo](const std::string& text) {
    echo.text += text;
    echo.characters += static_cast<int64_t>(count_characters(text));
  };
  for (const tokenizer::TokenId id : prompt) {
    echo.offsets.push_back(echo.characters);
    append(detokenizer.push(id));
  }
  append(detokenizer.flush());
  return echo;
}

void CompletionLogprobs::add_first(tokenizer::TokenId id, int64_t text_offset) {
  entries_.push_back({id, true, {}, text_offset});
}

void CompletionLogprobs::add(const engine::TokenLogprob& token, int64_t text_offset) {
  entries_.push_back({token.token, false, token, text_offset});
}

Json CompletionLogprobs::take(const TokenWords& words) {
  Json offsets = Json::array(), logprobs = Json::array(), tokens = Json::array(),
       top = Json::array();
  for (const Entry& entry : entries_) {
    offsets.push_back(entry.text_offset);
    logprobs.push_back(entry.first ? Json() : Json(finite_logprob(entry.logprob.logprob)));
    tokens.push_back(words.name(entry.id));
    top.push_back(entry.first ? Json() : top_json(words, entry.logprob));
  }
  entries_.clear();
  return {{"text_offset", std::move(offsets)},
          {"token_logprobs", std::move(logprobs)},
          {"tokens", std::move(tokens)},
          {"top_logprobs", std::move(top)}};
}

}  // namespace fathom::api
