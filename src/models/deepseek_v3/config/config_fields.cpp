#include "models/deepseek_v3/config/config_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace fathom::models::deepseek_v3 {

using nlohmann::json;

namespace {

constexpr std::string_view kHarmless[] = {
    // origin and form
    "architectures", "auto_map", "dtype", "model_name", "name_or_path", "torch_dtype",
    "tokenizer_class", "use_bfloat16",
    // training
    "attention_dropout", "attn_pdrop", "aux_loss_alpha", "embd_pdrop", "ep_size", "finetuning_task",
    "gradient_checkpointing", "hidden_dropout", "initializer_range", "output_router_logits",
    "resid_pdrop", "router_aux_loss_coef", "seq_aux", "tf_legacy_loss",
    // how transformers runs a model: slices of one product, chunks, caches and what is returned
    "attn_implementation", "chunk_size_feed_forward", "output_attentions", "output_hidden_states",
    "output_scores", "pretraining_tp", "return_dict", "return_dict_in_generate", "torchscript",
    "use_cache",
    // tokens; a prompt's first token is tokenizer_config.json's matter
    "begin_suppress_tokens", "bos_token_id", "decoder_start_token_id", "forced_bos_token_id",
    "forced_eos_token_id", "pad_token_id", "prefix", "sep_token_id", "suppress_tokens",
    "unk_token_id",
    // defaults of sampling, which are generation_config.json's matter
    "bad_words_ids", "diversity_penalty", "do_sample", "early_stopping",
    "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "length_penalty",
    "max_length", "min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams",
    "num_return_sequences", "remove_invalid_values", "repetition_penalty", "temperature", "top_k",
    "top_p", "typical_p",
    // classifiers
    "id2label", "label2id", "num_labels", "problem_type", "task_specific_params",
    // lengths beside max_position_embeddings
    "model_max_length"};

}  // namespace

Error unsupported_field(const std::string& field, const std::string& expected, const json& got) {
  std::string shown = got.dump(-1, ' ', false, json::error_handler_t::replace);
  if (shown.size() > 80) shown = shown.substr(0, 77) + "...";
  return {ErrorCode::kUnsupported, fmt::format("{}: expected {}, got {}", field, expected, shown),
          field};
}

bool is_integer_in(const json& value, int64_t low, int64_t high) {
  if (!value.is_number_integer()) return false;
  const bool huge = value.is_number_unsigned() &&
                    value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  return !huge && value.get<int64_t>() >= low && value.get<int64_t>() <= high;
}

const json* FieldReader::get(std::string_view name) {
  asked_.emplace(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool FieldReader::is_null(std::string_view name) const {
  const auto found = object_.find(name);
  return found != object_.end() && found->is_null();
}

std::optional<int64_t> FieldReader::integer_in(const char* name, int64_t low, int64_t high,
                                               bool required) {
  const json* value = get(name);
  if (value == nullptr && !required) return std::nullopt;
  const json& got = value == nullptr ? json() : *value;
  if (is_integer_in(got, low, high)) return got.get<int64_t>();
  fail(name, fmt::format("a whole number from {} to {}", low, high), got);
  return std::nullopt;
}

std::optional<double> FieldReader::number_in(const char* name, double low, double high,
                                             bool required) {
  const json* value = get(name);
  if (value == nullptr && !required) return std::nullopt;
  const json& got = value == nullptr ? json() : *value;
  const double number = got.is_number() ? got.get<double>() : std::nan("");
  if (number >= low && number <= high) return number;
  fail(name, fmt::format("a number from {} to {}", low, high), got);
  return std::nullopt;
}

void FieldReader::boolean(const char* name, bool& out) {
  const json* value = get(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return fail(name, "true or false", *value);
  out = value->get<bool>();
}

std::string FieldReader::text(const char* name, std::string fallback) {
  const json* value = get(name);
  if (value == nullptr) return fallback;
  if (!value->is_string()) {
    fail(name, "text", *value);
    return fallback;
  }
  return value->get<std::string>();
}

void FieldReader::only(const char* name, const json& value) {
  const json* got = get(name);
  if (got != nullptr && *got != value) fail(name, value.dump(), *got);
}

void FieldReader::ignore(std::initializer_list<std::string_view> names) {
  for (const auto name : names) asked_.emplace(name);
}

void FieldReader::refuse_others(bool (*harmless)(std::string_view name)) {
  for (const auto& [name, value] : object_.items()) {
    if (value.is_null() || asked_.contains(name) || harmless(name)) continue;
    fail(name.c_str(),
         "no such field, which may change what the model computes (remove it if it does not)",
         value);
  }
}

void FieldReader::fail(const char* name, const std::string& expected, const json& got) {
  if (!error_) error_ = unsupported_field(prefix_ + name, expected, got);
}

bool is_harmless_field(std::string_view name) {
  return name.starts_with('_') || name.starts_with("unsloth_") || name.ends_with("_version") ||
         std::ranges::find(kHarmless, name) != std::end(kHarmless);
}

}  // namespace fathom::models::deepseek_v3
