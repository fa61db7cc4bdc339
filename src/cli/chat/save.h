// A conversation as a file: Markdown to read, JSON to send again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace fathom::cli {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
  std::string thought = {};  // of an assistant who thought before
};

std::string conversation_markdown(const std::string& model,
                                  const std::vector<ChatMessage>& messages);

// A chat completions request of it: {"model", "messages"}.
std::string conversation_json(const std::string& model, const std::vector<ChatMessage>& messages);

// Writes a new file, in the format that its extension (.md or .json) says. A leading "~/" is the
// home directory. Errors name the file; one that exists is left as it is, one that could not be
// written whole is removed.
Status save_conversation(const std::string& file, const std::string& model,
                         const std::vector<ChatMessage>& messages);

}  // namespace fathom::cli
