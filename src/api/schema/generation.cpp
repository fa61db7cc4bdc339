#include "api/schema/generation.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace fathom::api {

namespace {

constexpr int32_t kMaxTokenId = std::numeric_limits<int32_t>::max();
constexpr size_t kMaxStopStrings = 16;
constexpr size_t kMaxStopBytes = 1024;
constexpr size_t kMaxStopTokens = 128;
constexpr size_t kMaxSaltBytes = 256;

Status read_stop_string(const Json& value, const std::string& path, GenerationFields& request) {
  FATHOM_ASSIGN(std::string text, read_string(value, path));
  if (text.empty() || text.size() > kMaxStopBytes) {
    return expected(path, "a string of 1 to " + std::to_string(kMaxStopBytes) + " bytes", value);
  }
  request.stop.push_back(std::move(text));
  return {};
}

Status read_stop(const Json& value, const std::string& path, GenerationFields& request) {
  if (value.is_string()) return read_stop_string(value, path, request);
  if (!value.is_array()) return expected(path, "a string or an array of strings", value);
  return read_array(value, path, kMaxStopStrings, [&](const Json& item, const std::string& at) {
    return read_stop_string(item, at, request);
  });
}

Status read_stop_token_ids(const Json& value, const std::string& path, GenerationFields& request) {
  return read_array(value, path, kMaxStopTokens,
                    [&](const Json& item, const std::string& at) -> Status {
                      FATHOM_ASSIGN(const int64_t id, read_integer(item, at, 0, kMaxTokenId));
                      request.stop_token_ids.push_back(static_cast<int32_t>(id));
                      return {};
                    });
}

Status read_logit_bias(const Json& value, const std::string& path, GenerationFields& request) {
  if (!value.is_object()) return expected(path, "an object from token id to bias", value);
  for (const auto& [key, bias] : value.items()) {
    int32_t id = -1;
    const auto [end, failure] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (failure != std::errc{} || end != key.data() + key.size() || id < 0) {
      return expected(path, "token ids as keys", Json(key));
    }
    FATHOM_ASSIGN(const double number, read_number(bias, key_path(path, key), -100, 100));
    request.logit_bias.emplace_back(id, static_cast<float>(number));
  }
  return {};
}

Status read_stream_options(const Json& value, const std::string& path, GenerationFields& request) {
  if (!value.is_object()) return expected(path, "an object", value);
  if (const Json* include = find_member(value, "include_usage")) {
    FATHOM_ASSIGN(request.include_usage, read_bool(*include, key_path(path, "include_usage")));
  }
  return {};
}

Status read_cache_salt(const Json& value, const std::string& path, GenerationFields& request) {
  FATHOM_ASSIGN(request.cache_salt, read_string(value, path));
  if (request.cache_salt.size() > kMaxSaltBytes) {
    return expected(path, "at most " + std::to_string(kMaxSaltBytes) + " bytes", value);
  }
  return {};
}

// Only the type is checked; the value has no effect here.
Status read_hint(const Json& value, const std::string& path, GenerationFields&) {
  FATHOM_TRY(read_string(value, path));
  return {};
}

FieldTable<GenerationFields> make_table() {
  using F = GenerationFields;
  return {
      string_field<F>("model", &F::model, "the served model", "Name of the model."),
      number_field<F>("temperature", &F::temperature, 0, 2, "1",
                      "Randomness; 0 takes the likeliest token each time."),
      number_field<F>("top_p", &F::top_p, 0, 1, "1",
                      "Sample only among the likeliest tokens that together reach this share."),
      integer_field<F>("top_k", &F::top_k, -1, kMaxTokenId, "0",
                       "Sample only among this many likeliest tokens; 0 or -1: all."),
      number_field<F>("min_p", &F::min_p, 0, 1, "0",
                      "Drop tokens less likely than this share of the likeliest one."),
      number_field<F>("presence_penalty", &F::presence_penalty, -2, 2, "0",
                      "Taken from the logit of each token that was generated already."),
      number_field<F>("frequency_penalty", &F::frequency_penalty, -2, 2, "0",
                      "Taken from a token's logit for each time it was generated."),
      number_field<F>("repetition_penalty", &F::repetition_penalty, 0.01, 100, "1",
                      "Divides positive and multiplies negative logits of tokens seen before."),
      {{"logit_bias", "object", "Token id to a number from -100 to 100, added to its logit.", "{}"},
       read_logit_bias},
      integer_field<F>("seed", &F::seed, std::numeric_limits<int64_t>::min(),
                       std::numeric_limits<int64_t>::max(), "drawn at random",
                       "The same seed and request give the same answer."),
      integer_field<F>("n", &F::n, 1, 128, "1", "Answers to give to each prompt."),
      integer_field<F>("max_tokens", &F::max_tokens, 0, kMaxTokenCount, "",
                       "Tokens to generate at most."),
      integer_field<F>("min_tokens", &F::min_tokens, 0, kMaxTokenCount, "0",
                       "Tokens to generate before anything may stop the answer."),
      {{"stop", "string or array", "Up to 16 texts that end the answer; not part of it."},
       read_stop},
      {{"stop_token_ids", "array", "Tokens that end the answer, besides the model's own."},
       read_stop_token_ids},
      bool_field<F>("ignore_eos", &F::ignore_eos, "false",
                    "Go on after the model's end-of-sequence token."),
      bool_field<F>("stream", &F::stream, "false", "Answer in server-sent events."),
      {{"stream_options", "object", "include_usage: true adds an event with the counts."},
       read_stream_options},
      bool_field<F>("skip_special_tokens", &F::skip_special_tokens, "true",
                    "Leave special tokens out of the text."),
      bool_field<F>("return_tokens_as_token_ids", &F::tokens_as_ids, "false",
                    "Log-probabilities name tokens as token_id:N."),
      integer_field<F>("priority", &F::priority, std::numeric_limits<int32_t>::min(),
                       std::numeric_limits<int32_t>::max(), "0",
                       "Lower runs first; below 0 only where the key may."),
      {{"cache_salt", "string",
        "An owner's requests share prefixes only where their salts are equal."},
       read_cache_salt},
      {{"user", "string", "The end user; not used."}, read_hint},
      {{"prompt_cache_key", "string",
        "Which requests begin alike, for routers; one server finds that out itself."},
       read_hint},
      {{"response_format", "object", "text, json_object, or json_schema with a schema.", "text"},
       [](const Json& value, const std::string& path, F& request) {
         return read_response_format(value, path, request.structure);
       }},
      {{"structured_outputs", "object",
        "One of json (a schema), json_object, regex, grammar (EBNF) and choice."},
       [](const Json& value, const std::string& path, F& request) {
         return read_structured_outputs(value, path, request.structure);
       }},
      refused_field<F>("guided_json", "object", "not supported; use structured_outputs"),
      refused_field<F>("guided_regex", "string", "not supported; use structured_outputs"),
      refused_field<F>("guided_grammar", "string", "not supported; use structured_outputs"),
      refused_field<F>("guided_choice", "array", "not supported; use structured_outputs"),
  };
}

}  // namespace

const FieldTable<GenerationFields>& generation_field_table() {
  static const FieldTable<GenerationFields> table = make_table();
  return table;
}

Status check_generation_fields(const GenerationFields& fields, const Json& body) {
  if (fields.max_tokens && fields.min_tokens > *fields.max_tokens) {
    return invalid_argument("min_tokens: expected at most max_tokens (" +
                                std::to_string(*fields.max_tokens) + "), got " +
                                std::to_string(fields.min_tokens),
                            "min_tokens");
  }
  if (!fields.stream && find_member(body, "stream_options") != nullptr) {
    return invalid_argument("stream_options: expected only with stream: true", "stream_options");
  }
  return {};
}

}  // namespace fathom::api
