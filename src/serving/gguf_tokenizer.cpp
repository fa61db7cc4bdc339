#include "serving/gguf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/json_file.h"
#include "tokenizer/tokenizer_file.h"

namespace fathom::serving {

using models::GgufFile;
using models::GgufHeader;
using nlohmann::json;

namespace {

// tokenizer.ggml.token_type
constexpr int32_t kNormal = 1;
constexpr int32_t kControl = 3;
constexpr int32_t kUserDefined = 4;
constexpr int32_t kUnused = 5;

constexpr const char* kPreTokenizer = "deepseek-v3";

// DeepSeek-V3's patterns, as its tokenizer.json has them.
constexpr std::array kSplitPatterns = {"\\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
                                       "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
                                       "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                                       "| ?[\\p{P}\\p{S}]+[\r\n]*"
                                       "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"};

struct Vocabulary {
  std::vector<std::string> tokens;  // by id
  std::vector<int32_t> types;
};

Result<Vocabulary> vocabulary_of(const tokenizer::TokenizerFile& file, int64_t vocab_size) {
  Vocabulary made;
  for (int64_t i = 0; i < vocab_size; ++i) made.tokens.push_back(fmt::format("[PAD{}]", i));
  made.types.assign(static_cast<size_t>(vocab_size), kUnused);
  const auto put = [&](tokenizer::TokenId id, const std::string& text, int32_t type) -> Status {
    if (id < 0 || id >= vocab_size) {
      return Error{
          ErrorCode::kDataCorrupt,
          fmt::format("tokenizer.json: expected token ids below {}, got {}", vocab_size, id)};
    }
    made.tokens[static_cast<size_t>(id)] = text;
    made.types[static_cast<size_t>(id)] = type;
    return {};
  };
  for (const auto& [text, id] : file.vocabulary) FATHOM_TRY(put(id, text, kNormal));
  for (const auto& token : file.added_tokens) {
    FATHOM_TRY(put(token.id, token.content, token.special ? kControl : kUserDefined));
  }
  return made;
}

const std::string* text_of(const std::map<std::string, std::string>& texts, const char* name) {
  const auto found = texts.find(name);
  return found == texts.end() ? nullptr : &found->second;
}

void add_token_id(const char* key, const std::optional<std::string>& text,
                  const Vocabulary& vocabulary, GgufHeader& header) {
  if (!text) return;
  const auto found = std::ranges::find(vocabulary.tokens, *text);
  if (found == vocabulary.tokens.end()) return;
  header.add(fmt::format("tokenizer.ggml.{}_token_id", key),
             static_cast<uint32_t>(found - vocabulary.tokens.begin()));
}

Status add_config(const std::map<std::string, std::string>& texts, const Vocabulary& vocabulary,
                  GgufHeader& header) {
  json config = json::object();
  if (const std::string* text = text_of(texts, "tokenizer_config.json")) {
    FATHOM_ASSIGN(const auto tokens, tokenizer::parse_tokenizer_config(*text));
    add_token_id("bos", tokens.bos_token, vocabulary, header);
    add_token_id("eos", tokens.eos_token, vocabulary, header);
    FATHOM_ASSIGN(config, parse_json(*text, "tokenizer_config.json"));
  }
  if (config.contains("add_bos_token") && config["add_bos_token"].is_boolean()) {
    header.add("tokenizer.ggml.add_bos_token", config["add_bos_token"].get<bool>());
  }
  const std::string* own_file = text_of(texts, "chat_template.jinja");
  if (own_file != nullptr) {
    header.add("tokenizer.chat_template", std::string_view(*own_file));
  } else if (config.contains("chat_template") && config["chat_template"].is_string()) {
    header.add("tokenizer.chat_template",
               std::string_view(config["chat_template"].get_ref<const std::string&>()));
  }
  return {};
}

Error wrong_key(const GgufFile& file, const char* key, const std::string& expected) {
  return {ErrorCode::kDataCorrupt, fmt::format("{}: {}: expected {}", file.path(), key, expected),
          key};
}

// An array of text or of whole numbers.
template <typename T>
Result<std::vector<T>> array_of(const GgufFile& file, const char* key) {
  const json* value = file.value(key);
  std::vector<T> made;
  if (value == nullptr || !value->is_array()) return wrong_key(file, key, "an array");
  for (const json& element : *value) {
    const bool good =
        std::is_same_v<T, std::string> ? element.is_string() : element.is_number_integer();
    if (!good) return wrong_key(file, key, "elements of one kind");
    made.push_back(element.get<T>());
  }
  return made;
}

json byte_level() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", false}};
}

json pre_tokenizer() {
  json parts = json::array();
  for (const char* pattern : kSplitPatterns) {
    parts.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  parts.push_back(byte_level());
  return {{"type", "Sequence"}, {"pretokenizers", parts}};
}

Result<json> tokenizer_json(const GgufFile& file, const std::vector<std::string>& tokens) {
  FATHOM_ASSIGN(const auto merges, array_of<std::string>(file, "tokenizer.ggml.merges"));
  FATHOM_ASSIGN(const auto types, array_of<int32_t>(file, "tokenizer.ggml.token_type"));
  if (types.size() != tokens.size()) {
    return wrong_key(file, "tokenizer.ggml.token_type", fmt::format("{} types", tokens.size()));
  }
  json vocabulary = json::object();
  json added = json::array();
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (types[id] == kNormal) vocabulary[tokens[id]] = id;
    if (types[id] != kControl && types[id] != kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", types[id] == kControl}});
  }
  return json{{"version", "1.0"},
              {"added_tokens", added},
              {"normalizer", nullptr},
              {"pre_tokenizer", pre_tokenizer()},
              {"decoder", byte_level()},
              {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
}

std::string dump(const json& object) {
  return object.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

Status add_gguf_tokenizer(const std::map<std::string, std::string>& texts, int64_t vocab_size,
                          GgufHeader& header) {
  const std::string* text = text_of(texts, "tokenizer.json");
  if (text == nullptr) return Error{ErrorCode::kNotFound, "tokenizer.json: is missing"};
  FATHOM_ASSIGN(const auto file, tokenizer::parse_tokenizer_file(*text));
  FATHOM_ASSIGN(const auto vocabulary, vocabulary_of(file, vocab_size));
  std::vector<std::string> merges;
  for (const auto& [left, right] : file.merges) merges.push_back(left + " " + right);
  header.add("tokenizer.ggml.model", std::string_view("gpt2"));
  header.add("tokenizer.ggml.pre", std::string_view(kPreTokenizer));
  header.add("tokenizer.ggml.tokens", vocabulary.tokens);
  header.add("tokenizer.ggml.token_type", vocabulary.types);
  header.add("tokenizer.ggml.merges", merges);
  return add_config(texts, vocabulary, header);
}

Result<std::map<std::string, std::string>> texts_of_gguf(const GgufFile& file) {
  const json* pre = file.value("tokenizer.ggml.pre");
  if (pre == nullptr || *pre != kPreTokenizer) {
    return wrong_key(
        file, "tokenizer.ggml.pre",
        fmt::format(
            "{} (DeepSeek-V3's and R1's way of splitting text), got {}", kPreTokenizer,
            pre == nullptr ? "none" : pre->dump(-1, ' ', true, json::error_handler_t::replace)));
  }
  FATHOM_ASSIGN(const auto tokens, array_of<std::string>(file, "tokenizer.ggml.tokens"));
  FATHOM_ASSIGN(const json tokenizer, tokenizer_json(file, tokens));
  json config = json::object();
  for (const char* name : {"bos", "eos"}) {
    const json* id = file.value(fmt::format("tokenizer.ggml.{}_token_id", name));
    if (id == nullptr) continue;
    if (!id->is_number_unsigned() || id->get<uint64_t>() >= tokens.size()) {
      return wrong_key(file, "tokenizer.ggml.tokens", "a token for each id that is named");
    }
    config[fmt::format("{}_token", name)] = tokens[id->get<size_t>()];
  }
  const json* add_bos = file.value("tokenizer.ggml.add_bos_token");
  if (add_bos != nullptr) config["add_bos_token"] = *add_bos;
  const json* chat_template = file.value("tokenizer.chat_template");
  if (chat_template != nullptr) config["chat_template"] = *chat_template;
  return std::map<std::string, std::string>{{"tokenizer.json", dump(tokenizer)},
                                            {"tokenizer_config.json", dump(config)}};
}

}  // namespace fathom::serving
