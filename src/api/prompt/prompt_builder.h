// From what a request says to the tokens the model reads.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/grammars/tool_grammar.h"
#include "api/http/api_error.h"
#include "api/schema/chat.h"
#include "api/schema/completion.h"
#include "api/text/json_text.h"
#include "jinja/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace fathom::api {

struct ChatInput {
  const std::vector<ChatMessage>& messages;
  const Json* tools = nullptr;
  bool thinking = false;
  bool add_generation_prompt = true;
  // The last message is the beginning of the answer: of its thought, if it has one and no content.
  bool continue_final_message = false;
};

struct TextOptions {
  bool add_first_token = true;  // the model's, if it has one and the text does not begin with it
  bool special_tokens = false;  // text that spells one is that token
};

struct Prompt {
  std::vector<tokenizer::TokenId> tokens;
  bool in_thought = false;      // ends within <think>
  bool behind_thought = false;  // ends with </think>
};

// As the API words what a PromptBuilder refuses.
ApiError prompt_refusal(const Error& error);

class PromptBuilder {
 public:
  // Models that only complete text have no template.
  PromptBuilder(tokenizer::Tokenizer tokenizer, std::optional<jinja::ChatTemplate> chat,
                bool add_bos, int64_t max_context = std::numeric_limits<int64_t>::max());

  // Whether text of so many bytes might fit the context: no token is longer than the longest. Asked
  // before text is turned into tokens. Error: prompt_refusal(), naming `path`.
  Status check_length(size_t bytes, const std::string& path) const;

  Result<Prompt> chat(const ChatInput& input) const;
  // As the template writes the calls of earlier answers.
  ToolForm tool_form() const { return tool_form_; }
  // Filling in the middle between two texts. Error: kUnsupported if the model knows no such task.
  Result<std::vector<tokenizer::TokenId>> middle(const std::string& prefix,
                                                 const std::string& suffix) const;
  std::vector<tokenizer::TokenId> text(const std::string& text, TextOptions options) const;

 private:
  Json message_json(const ChatMessage& message) const;
  Result<Prompt> render(const std::vector<ChatMessage>& said, const ChatInput& input,
                        const ChatMessage* beginning) const;

  tokenizer::Tokenizer tokenizer_;
  std::optional<jinja::ChatTemplate> template_;
  bool add_bos_;
  int64_t max_context_;
  size_t longest_token_ = 0;  // bytes
  // Whether the template wants the arguments of a tool call as an object (DeepSeek-V3.1) or as
  // text (V3).
  bool arguments_as_object_ = true;
  ToolForm tool_form_ = ToolForm::kPlain;
  bool lists_tools_ = true;  // the template does; else the system message has to
};

}  // namespace fathom::api
