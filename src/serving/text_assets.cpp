#include "serving/text_assets.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "base/log.h"
#include "serving/model_texts.h"
#include "serving/synthetic_tokenizer.h"

namespace fathom::serving {

namespace fs = std::filesystem;

namespace {

Result<std::optional<jinja::ChatTemplate>> load_template(const StackOptions& options) {
  auto source = jinja::ChatTemplate::load_source(options.model);
  if (!options.chat_template.empty()) {
    std::ifstream file(options.chat_template, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) {
      return Error{ErrorCode::kNotFound, fmt::format("--chat-template: {} cannot be read",
                                                     options.chat_template.string())};
    }
    // A model without a template of its own still has its two tokens.
    jinja::ChatTemplateSource own = source ? *source : jinja::ChatTemplateSource{};
    auto parsed = jinja::ChatTemplate::parse(text.str(), own.bos_token, own.eos_token);
    if (!parsed) return parsed.error().with_context(options.chat_template.string());
    return std::optional(std::move(*parsed));
  }
  if (!source && source.error().code == ErrorCode::kNotFound) {
    log_warning("{}; chat requests will be refused (--chat-template gives one)",
                source.error().message);
    return std::optional<jinja::ChatTemplate>();
  }
  if (!source) return source.error();
  auto parsed = jinja::ChatTemplate::parse(source->text, source->bos_token, source->eos_token);
  if (!parsed) {
    std::error_code ignored;
    const bool own_file = fs::exists(options.model / "chat_template.jinja", ignored);
    const fs::path file =
        options.model / (own_file ? "chat_template.jinja" : "tokenizer_config.json");
    return parsed.error().with_context(file.string());
  }
  return std::optional(std::move(*parsed));
}

Result<TextAssets> stored_texts(const StackOptions& options, const ModelInput& input) {
  FATHOM_ASSIGN(auto tokenizer,
                tokenizer::Tokenizer::load(options.model / "tokenizer.json",
                                           options.model / "tokenizer_config.json"));
  FATHOM_ASSIGN(auto chat_template, load_template(options));
  FATHOM_ASSIGN(const bool add_bos_token, adds_bos_token(input.texts));
  return TextAssets{std::move(tokenizer), std::move(chat_template), add_bos_token};
}

Result<TextAssets> synthetic_texts(const ModelInput& input) {
  FATHOM_ASSIGN(auto tokenizer,
                tokenizer::Tokenizer::parse(input.texts.at("tokenizer.json"),
                                            input.texts.at("tokenizer_config.json")));
  FATHOM_ASSIGN(auto chat_template,
                jinja::ChatTemplate::parse(kSyntheticChatTemplate, kSyntheticBos, kSyntheticEos));
  return TextAssets{std::move(tokenizer), std::move(chat_template), false};
}

}  // namespace

Result<TextAssets> load_texts(const StackOptions& options, const ModelInput& input) {
  FATHOM_ASSIGN(TextAssets texts,
                options.synthetic.empty() ? stored_texts(options, input) : synthetic_texts(input));
  if (texts.tokenizer.vocab_size() > input.config.vocab_size) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("{}: expected at most the model's {} tokens, got {}",
                             (options.model / "tokenizer.json").string(), input.config.vocab_size,
                             texts.tokenizer.vocab_size())};
  }
  return texts;
}

}  // namespace fathom::serving
