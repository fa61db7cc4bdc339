#include "serving/model_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_file.h"

namespace fathom::serving {

using nlohmann::json;

namespace {

// A field of a file's object; null where there is none.
Result<json> field_of(const std::map<std::string, std::string>& texts, const char* file,
                      const char* field) {
  const auto found = texts.find(file);
  if (found == texts.end()) return json();
  FATHOM_ASSIGN(const json object, parse_json(found->second, file));
  if (!object.is_object()) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("{}: expected an object, got {}", file, object.type_name()), file};
  }
  return object.value(field, json());
}

void add_end_token(int32_t token, std::vector<int32_t>& all) {
  if (std::ranges::find(all, token) == all.end()) all.push_back(token);
}

}  // namespace

Status add_end_tokens(const std::map<std::string, std::string>& texts,
                      const tokenizer::Tokenizer& tokenizer, models::deepseek_v3::Config& config) {
  constexpr const char* kFile = "generation_config.json";
  FATHOM_ASSIGN(const json eos, field_of(texts, kFile, "eos_token_id"));
  const json none = json::array();
  for (const json& id : eos.is_null() ? none : eos.is_array() ? eos : json::array({eos})) {
    const bool valid =
        id.is_number_unsigned() && id.get<uint64_t>() < static_cast<uint64_t>(config.vocab_size);
    if (!valid) {
      return Error{ErrorCode::kDataCorrupt,
                   fmt::format("{}: eos_token_id: expected token ids below {}, got {}", kFile,
                               config.vocab_size, eos.dump())};
    }
    add_end_token(id.get<int32_t>(), config.eos_token_ids);
  }
  if (const auto token = tokenizer.eos()) add_end_token(*token, config.eos_token_ids);
  return {};
}

Result<bool> adds_bos_token(const std::map<std::string, std::string>& texts) {
  constexpr const char* kFile = "tokenizer_config.json";
  FATHOM_ASSIGN(const json adds, field_of(texts, kFile, "add_bos_token"));
  if (adds.is_null()) return false;
  if (!adds.is_boolean()) {
    return Error{
        ErrorCode::kDataCorrupt,
        fmt::format("{}: add_bos_token: expected true or false, got {}", kFile, adds.dump())};
  }
  return adds.get<bool>();
}

}  // namespace fathom::serving
