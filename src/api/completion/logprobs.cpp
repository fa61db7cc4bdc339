#include "api/completion/logprobs.h"

#include <nlohmann/json.hpp>

#include "api/text/text_search.h"
#include "tokenizer/detokenizer.h"

namespace fathom::api {

namespace {

// The likeliest tokens and the one that was drawn. Tokens with the same text share a key, with the
// probability of the likeliest.
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

void CompletionLogprobs::take(const TokenWords& words, std::string& out) {
  ObjectText object(out);
  const auto list = [&](const char* name, const auto& value) {
    object.name(name);
    out += '[';
    for (const Entry& entry : entries_) {
      if (&entry != entries_.data()) out += ',';
      out += dump_json(value(entry));
    }
    out += ']';
  };
  list("text_offset", [](const Entry& entry) { return Json(entry.text_offset); });
  list("token_logprobs", [](const Entry& entry) {
    return entry.first ? Json() : Json(finite_logprob(entry.logprob.logprob));
  });
  list("tokens", [&](const Entry& entry) { return Json(words.name(entry.id)); });
  list("top_logprobs",
       [&](const Entry& entry) { return entry.first ? Json() : top_json(words, entry.logprob); });
  object.end();
  entries_.clear();
}

}  // namespace fathom::api
