// Chat templates: a model's own Jinja template turns a conversation into the text it was trained
// on. The template is run by a small interpreter with no I/O and with limits, so that a hostile
// template or conversation gives an error and never a crash, a hang or a memory blow-up.
//
// A user's text can never produce a special token: rendering gives pieces, and only the pieces
// that come from the template itself (and from bos/eos) are `trusted`. The tokenizer looks for
// special tokens in trusted pieces only, so "<|User|>" inside a message stays plain text. Digits,
// punctuation of JSON and the like that the interpreter itself writes are not trusted either.
//
// The language is Jinja 3.1's as Hugging Face sets it up (trim_blocks, lstrip_blocks, loop
// controls, `generation` blocks, raise_exception, strftime_now, HF's tojson). Where Jinja in
// Python and @huggingface/jinja disagree, Python decides; eval.h lists those places.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "jinja/limits.h"

namespace fathom::jinja {

// A run of rendered text; `trusted` if the template wrote every byte of it.
struct RenderedPiece {
  std::string text;
  bool trusted = false;

  bool operator==(const RenderedPiece&) const = default;
};

// The whole rendered text.
std::string text(const std::vector<RenderedPiece>& pieces);

// What a model directory says about its template.
struct ChatTemplateSource {
  std::string text;                     // the template named "default", or the only one
  std::optional<std::string> tool_use;  // the template named "tool_use", where there is one
  std::string bos_token;
  std::string eos_token;
};

// Immutable after parse(); render() may be called from any number of threads at once.
class ChatTemplate {
 public:
  // Reads MODEL_DIR/chat_template.jinja, or else chat_template of MODEL_DIR/tokenizer_config.json
  // (a string, or a list of {name, template}), and the two tokens of tokenizer_config.json.
  // kNotFound if the model has no template.
  static Result<ChatTemplateSource> load_source(const std::filesystem::path& model_dir);

  // Errors read "chat template line 12: expected ..., got ...".
  static Result<ChatTemplate> parse(const std::string& source, const std::string& bos_token,
                                    const std::string& eos_token, const RenderLimits& limits = {});

  // `messages` and `tools` are passed on as the request has them (null `tools` is Jinja's none);
  // `variables` is an object: add_generation_prompt, thinking, ... It cannot replace messages,
  // tools, bos_token or eos_token. Key order is kept. A refusal by the template
  // (raise_exception) and anything the template cannot do with this conversation is
  // kInvalidArgument; a limit reached is kResourceExhausted.
  Result<std::vector<RenderedPiece>> render(const nlohmann::ordered_json& messages,
                                            const nlohmann::ordered_json* tools,
                                            const nlohmann::ordered_json& variables) const;

 private:
  struct Parsed;
  explicit ChatTemplate(std::shared_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}

  std::shared_ptr<const Parsed> parsed_;
};

}  // namespace fathom::jinja
