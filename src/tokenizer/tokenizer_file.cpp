#include "tokenizer/tokenizer_file.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "tokenizer/json_fields.h"
#include "tokenizer/tokenizer_document.h"

namespace fathom::tokenizer {
namespace {

using nlohmann::json;

// The pattern of ByteLevel if use_regex is true (GPT-2's).
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr const char* kFile = "tokenizer.json";

std::string element(const std::string& path, size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

Result<TokenId> read_id(const FieldReader& reader, const std::string& path, const json& value) {
  if (value.is_number_unsigned() && value.get<uint64_t>() < kMaxTokenId) {
    return value.get<TokenId>();
  }
  return reader.corrupt(path, "a whole number below " + std::to_string(kMaxTokenId), value);
}

Status read_model(const FieldReader& reader, TokenizerDocument& document, TokenizerFile& file) {
  const json& model = FieldReader::field(document.tree, "model");
  FATHOM_TRY(reader.type_is(model, "model", "BPE"));
  FATHOM_TRY(reader.only(model, "model.", "byte_fallback", false));
  const json& dropout = FieldReader::field(model, "dropout");
  if (!dropout.is_null() && dropout != 0) {
    return reader.unsupported("model.dropout", "null", dropout);
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = FieldReader::field(model, affix);
    if (!value.is_null() && value != "") {
      return reader.unsupported(std::string("model.") + affix, "null", value);
    }
  }
  FATHOM_ASSIGN(file.ignore_merges, reader.boolean(model, "model.", "ignore_merges", false));
  if (!document.has_vocabulary) {
    return reader.corrupt("model.vocab", "an object", FieldReader::field(model, "vocab"));
  }
  if (!document.has_merges) {
    return reader.corrupt("model.merges", "a list", FieldReader::field(model, "merges"));
  }
  file.vocabulary = std::move(document.vocabulary);
  file.merges = std::move(document.merges);
  return {};
}

Result<AddedToken> read_added_token(const FieldReader& reader, const std::string& path,
                                    const json& value) {
  if (!value.is_object()) return reader.corrupt(path, "an object", value);
  const std::string prefix = path + ".";
  AddedToken token;
  FATHOM_ASSIGN(token.id, read_id(reader, prefix + "id", FieldReader::field(value, "id")));
  const json& content = FieldReader::field(value, "content");
  if (!content.is_string() || content == "") {
    return reader.corrupt(prefix + "content", "a string that is not empty", content);
  }
  token.content = content.get<std::string>();
  for (const char* unsupported : {"single_word", "lstrip", "rstrip"}) {
    FATHOM_TRY(reader.only(value, prefix, unsupported, false));
  }
  FATHOM_ASSIGN(token.special, reader.boolean(value, prefix, "special", false));
  FATHOM_ASSIGN(token.normalized, reader.boolean(value, prefix, "normalized", !token.special));
  return token;
}

Status read_added_tokens(const FieldReader& reader, const json& tokens, TokenizerFile& file) {
  if (tokens.is_null()) return {};
  if (!tokens.is_array()) return reader.corrupt("added_tokens", "a list", tokens);
  for (size_t i = 0; i < tokens.size(); ++i) {
    FATHOM_ASSIGN(AddedToken token,
                  read_added_token(reader, element("added_tokens", i), tokens[i]));
    file.added_tokens.push_back(std::move(token));
  }
  return {};
}

Status check_normalizer(const FieldReader& reader, const json& normalizer) {
  if (normalizer.is_null()) return {};
  FATHOM_TRY(reader.type_is(normalizer, "normalizer", "Sequence"));
  const json& steps = FieldReader::field(normalizer, "normalizers");
  if (steps.is_array() && steps.empty()) return {};
  return reader.unsupported("normalizer.normalizers", "an empty list", steps);
}

Status read_split(const FieldReader& reader, const std::string& path, const json& step,
                  TokenizerFile& file) {
  const json& pattern = FieldReader::field(step, "pattern");
  const bool has_regex = pattern.is_object() && FieldReader::field(pattern, "Regex").is_string();
  if (!has_regex) return reader.unsupported(path + ".pattern", "{\"Regex\": …}", pattern);
  const json& behavior = FieldReader::field(step, "behavior");
  if (behavior != "Isolated") {
    return reader.unsupported(path + ".behavior", "\"Isolated\"", behavior);
  }
  FATHOM_TRY(reader.only(step, path + ".", "invert", false));
  file.split_patterns.push_back(
      {FieldReader::field(pattern, "Regex").get<std::string>(), path + ".pattern"});
  return {};
}

Status read_byte_level(const FieldReader& reader, const std::string& path, const json& step,
                       TokenizerFile& file) {
  // Hugging Face's default is true, so a file that leaves the field out is refused as well.
  const json& add_space = FieldReader::field(step, "add_prefix_space");
  if (add_space != false) return reader.unsupported(path + ".add_prefix_space", "false", add_space);
  FATHOM_ASSIGN(const bool use_regex, reader.boolean(step, path + ".", "use_regex", true));
  if (use_regex) file.split_patterns.push_back({kByteLevelPattern, path});
  return {};
}

// One step; sets `ended` at ByteLevel, after which there are bytes and no text to split.
Status read_pre_tokenizer_step(const FieldReader& reader, const std::string& path, const json& step,
                               TokenizerFile& file, bool& ended) {
  if (!step.is_object()) return reader.corrupt(path, "an object", step);
  const json& type = FieldReader::field(step, "type");
  if (ended) return reader.unsupported(path, "nothing after ByteLevel", type);
  if (type == "Split") return read_split(reader, path, step, file);
  if (type == "Digits") {
    FATHOM_ASSIGN(const bool single, reader.boolean(step, path + ".", "individual_digits", false));
    file.split_patterns.push_back({single ? R"(\p{N})" : R"(\p{N}+)", path});
    return {};
  }
  if (type == "ByteLevel") {
    ended = true;
    return read_byte_level(reader, path, step, file);
  }
  return reader.unsupported(path + ".type", "Split, Digits or ByteLevel", type);
}

Status read_pre_tokenizer(const FieldReader& reader, const json& pre_tokenizer,
                          TokenizerFile& file) {
  const std::string path = "pre_tokenizer";
  bool ended = false;
  if (!pre_tokenizer.is_object()) return reader.unsupported(path, "an object", pre_tokenizer);
  if (FieldReader::field(pre_tokenizer, "type") == "Sequence") {
    const json& steps = FieldReader::field(pre_tokenizer, "pretokenizers");
    if (!steps.is_array()) return reader.corrupt(path + ".pretokenizers", "a list", steps);
    for (size_t i = 0; i < steps.size(); ++i) {
      FATHOM_TRY(read_pre_tokenizer_step(reader, element(path + ".pretokenizers", i), steps[i],
                                         file, ended));
    }
  } else {
    FATHOM_TRY(read_pre_tokenizer_step(reader, path, pre_tokenizer, file, ended));
  }
  if (!ended) return reader.unsupported(path, "ByteLevel as the last step", pre_tokenizer);
  return {};
}

// A token of tokenizer_config.json: null, "text" or {"content": "text", …}.
Status read_config_token(const FieldReader& reader, const json& config, const char* name,
                         std::optional<std::string>& token) {
  const json& value = FieldReader::field(config, name);
  if (value.is_null()) return {};
  const json& content = value.is_object() ? FieldReader::field(value, "content") : value;
  if (!content.is_string()) {
    return reader.corrupt(name, "a string or an object with \"content\"", value);
  }
  token = content.get<std::string>();
  return {};
}

}  // namespace

Result<TokenizerFile> parse_tokenizer_file(std::string_view text) {
  FATHOM_ASSIGN(TokenizerDocument document, read_tokenizer_document(kFile, text));
  const FieldReader reader(kFile);
  const json& root = document.tree;
  if (!root.is_object()) return reader.corrupt("the file", "an object", root);
  TokenizerFile file;
  FATHOM_TRY(check_normalizer(reader, FieldReader::field(root, "normalizer")));
  FATHOM_TRY(read_pre_tokenizer(reader, FieldReader::field(root, "pre_tokenizer"), file));
  FATHOM_TRY(reader.type_is(FieldReader::field(root, "decoder"), "decoder", "ByteLevel"));
  FATHOM_TRY(read_added_tokens(reader, FieldReader::field(root, "added_tokens"), file));
  FATHOM_TRY(read_model(reader, document, file));
  return file;
}

Result<TokenizerConfig> parse_tokenizer_config(std::string_view text) {
  const std::string name = "tokenizer_config.json";
  FATHOM_ASSIGN(const TokenizerDocument document, read_tokenizer_document(name, text));
  const FieldReader reader(name);
  const json& root = document.tree;
  if (!root.is_object()) return reader.corrupt("the file", "an object", root);
  TokenizerConfig config;
  FATHOM_TRY(read_config_token(reader, root, "bos_token", config.bos_token));
  FATHOM_TRY(read_config_token(reader, root, "eos_token", config.eos_token));
  return config;
}

}  // namespace fathom::tokenizer
