#include "cli/chat/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/suggest.h"

namespace fathom::cli {
namespace {

struct KnownCommand {
  ChatAction action;
  const char* name;
  const char* argument;  // "": none; in brackets: one that may be left out
  const char* help;
};

constexpr std::array kKnownCommands = {
    KnownCommand{ChatAction::kSystem, "/system", "[TEXT]",
                 "show the system prompt, or replace it and start anew; \"\" for none"},
    KnownCommand{ChatAction::kThink, "/think", "", "think before answering, or no longer"},
    KnownCommand{ChatAction::kReset, "/reset", "", "forget the conversation"},
    KnownCommand{ChatAction::kSave, "/save", "FILE", "write the conversation to FILE.md or .json"},
    KnownCommand{ChatAction::kHelp, "/help", "", "this list"},
    KnownCommand{ChatAction::kQuit, "/quit", "", "leave (or Ctrl-D)"},
};

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view without_blanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

Error unknown_command(std::string_view word) {
  std::vector<std::string> names;
  for (const auto& command : kKnownCommands) names.emplace_back(command.name);
  const auto meant = nearest(word, names);
  return invalid_argument(fmt::format("no command {}; {} (a message that begins so: /{})", word,
                                      meant ? "did you mean " + *meant + "?" : "see /help", word));
}

}  // namespace

Result<ChatLine> parse_chat_line(std::string_view line) {
  if (line.starts_with("//")) return ChatLine{ChatAction::kSay, std::string(line.substr(1))};
  if (!line.starts_with("/")) return ChatLine{ChatAction::kSay, std::string(line)};
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  const std::string_view argument = without_blanks(line.substr(word.size()));
  const auto* known =
      std::find_if(kKnownCommands.begin(), kKnownCommands.end(),
                   [&](const KnownCommand& command) { return command.name == word; });
  if (known == kKnownCommands.end()) return unknown_command(word);
  const std::string_view wanted = known->argument;
  if (wanted.empty() && !argument.empty()) {
    return invalid_argument(fmt::format("{}: expected nothing behind it", word));
  }
  if (!wanted.empty() && wanted.front() != '[' && argument.empty()) {
    return invalid_argument(fmt::format("{0}: expected {0} {1}", word, wanted));
  }
  if (argument.empty()) return ChatLine{known->action, std::nullopt};
  return ChatLine{known->action, argument == "\"\"" ? std::string() : std::string(argument)};
}

std::string chat_commands() {
  std::string text;
  for (const auto& command : kKnownCommands) {
    text += fmt::format("  {:16} {}\n", fmt::format("{} {}", command.name, command.argument),
                        command.help);
  }
  return text + fmt::format("  {:16} say \"/text\"\n", "//text");
}

}  // namespace fathom::cli
