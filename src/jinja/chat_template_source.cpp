// Where a model directory keeps its chat template.
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/json_file.h"
#include "jinja/chat_template.h"

namespace fathom::jinja {
namespace {

using nlohmann::json;

Error corrupt(const std::filesystem::path& file, const std::string& expected) {
  return {ErrorCode::kDataCorrupt,
          fmt::format("{}: expected {}, got something else", file.string(), expected),
          file.string()};
}

// A special token: its text, or an object with the text as "content".
Result<std::string> read_token(const json& config, const char* name,
                               const std::filesystem::path& file) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return std::string();
  const json* token = &*found;
  if (token->is_object() && token->contains("content")) token = &(*token)["content"];
  if (!token->is_string()) return corrupt(file, fmt::format("{} as a token's text", name));
  return token->get<std::string>();
}

Status read_named_templates(const json& list, const std::filesystem::path& file,
                            ChatTemplateSource& source) {
  bool has_default = false;
  for (const json& entry : list) {
    const bool complete = entry.is_object() && entry.contains("name") &&
                          entry["name"].is_string() && entry.contains("template") &&
                          entry["template"].is_string();
    if (!complete) return corrupt(file, "chat_template entries with a name and a template");
    const std::string text = entry["template"].get<std::string>();
    if (entry["name"] == "tool_use") source.tool_use = text;
    if (entry["name"] != "default") continue;
    source.text = text;
    has_default = true;
  }
  if (has_default) return {};
  return corrupt(file, "a chat_template named 'default'");
}

Result<std::string> read_template_file(const std::filesystem::path& file) {
  constexpr std::uintmax_t kLongestFile = std::uintmax_t{1} << 20;
  std::error_code failure;
  if (std::filesystem::file_size(file, failure) > kLongestFile || failure) {
    return corrupt(file, "a readable template of at most 1 MiB");
  }
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (stream.bad() || !stream.is_open()) {
    return Error{ErrorCode::kIo, file.string() + ": cannot be read", file.string()};
  }
  return text;
}

// Fills in what the configuration says; an absent template stays empty.
Status read_config(const std::filesystem::path& file, bool wants_template,
                   ChatTemplateSource& source) {
  FATHOM_ASSIGN(const json config, read_json_file(file));
  if (!config.is_object()) return corrupt(file, "an object");
  FATHOM_ASSIGN(source.bos_token, read_token(config, "bos_token", file));
  FATHOM_ASSIGN(source.eos_token, read_token(config, "eos_token", file));
  const auto found = config.find("chat_template");
  if (!wants_template || found == config.end() || found->is_null()) return {};
  if (found->is_array()) return read_named_templates(*found, file, source);
  if (!found->is_string()) return corrupt(file, "chat_template as a string or a list");
  source.text = found->get<std::string>();
  return {};
}

}  // namespace

Result<ChatTemplateSource> ChatTemplate::load_source(const std::filesystem::path& model_dir) {
  const std::filesystem::path template_file = model_dir / "chat_template.jinja";
  const std::filesystem::path config_file = model_dir / "tokenizer_config.json";
  std::error_code ignored;
  const bool has_template_file = std::filesystem::exists(template_file, ignored);
  ChatTemplateSource source;
  if (std::filesystem::exists(config_file, ignored)) {
    FATHOM_TRY(read_config(config_file, !has_template_file, source));
  }
  if (has_template_file) {
    FATHOM_ASSIGN(source.text, read_template_file(template_file));
  }
  if (source.text.empty()) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{}: expected a chat template in chat_template.jinja or as "
                             "chat_template in tokenizer_config.json, got neither",
                             model_dir.string()),
                 model_dir.string()};
  }
  return source;
}

}  // namespace fathom::jinja
