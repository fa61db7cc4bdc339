// What a line typed at the prompt of `fathom chat` asks for: commands begin with a slash.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::cli {

enum class ChatAction { kSay, kSystem, kThink, kReset, kSave, kHelp, kQuit };

struct ChatLine {
  ChatAction action = ChatAction::kSay;
  // The message, or the argument of the command; nothing if it has none. `/system ""` has "".
  std::optional<std::string> text;
};

// "//text" says "/text". Errors (kInvalidArgument) name the nearest command, or what is missing.
Result<ChatLine> parse_chat_line(std::string_view line);

// The commands with what they do, one a line.
std::string chat_commands();

}  // namespace fathom::cli
