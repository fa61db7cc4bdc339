#include "cli/flags/checks.h"
#include "cli/flags/commands.h"
#include "cli/flags/help.h"
#include "cli/flags/model_flags.h"

namespace fathom::cli {
namespace {

constexpr const char* kChatHelp =
    "Without a question it is a conversation; /help there lists its commands. A line that ends in\n"
    "a backslash goes on, as does Alt-Enter, and a paste is one message. The history is in\n"
    "~/.local/state/fathom/history, or in fathom/history below XDG_STATE_HOME.\n"
    "With a question, or where standard input is no terminal, it answers once:\n"
    "  fathom chat \"What is 123 + 456?\"\n"
    "  git diff | fathom chat \"What does this change?\"    the question, then the text\n"
    "Where standard output is no terminal it gets the answer alone; with --thinking, the thought\n"
    "comes first.\n"
    "Exit codes: 0 answered, 1 the server or the network failed, 2 wrong usage, 130 interrupted.";

}  // namespace

void add_chat(CLI::App& app, ChatOptions& options) {
  auto* chat = app.add_subcommand(
      "chat", "talk to a server, or to a model it starts itself; or have one question answered");
  chat->add_option("question", options.question, "what to ask; without it, it is a conversation");
  // Before the model, which variables and files name for other commands, too.
  chat->option_defaults()->group(kNetworkGroup);
  auto* url = chat->add_option("--url", options.url, "server to talk to")
                  ->option_text("URL")
                  ->capture_default_str();
  add_stack_flags(*chat, options.stack);
  url->excludes(chat->get_option("--model"));
  chat->option_defaults()->group(kNetworkGroup);
  chat->add_option("--api-key", options.api_key,
                   "key that the server wants; FATHOM_API_KEY hides it from other users")
      ->option_text("KEY");
  chat->add_option("--ca", options.ca_file,
                   "PEM file of certificates to trust with https; default: the system's")
      ->option_text("FILE");
  chat->add_option("--model-name", options.model, "model to ask for; default: the server's first")
      ->option_text("NAME");
  chat->option_defaults()->group(kConversationGroup);
  chat->add_option("--system", options.system, "system prompt")->option_text("TEXT");
  chat->add_flag_function(
          "--thinking,!--no-thinking", [&](int64_t count) { options.thinking = count > 0; },
          "think before answering; on unless --no-thinking. Only a terminal shows thoughts, unless "
          "--thinking is given")
      ->default_str("true");
  chat->add_option("--temperature", options.temperature, "0: always the likeliest token")
      ->check(number(0, 2))
      ->capture_default_str();
  chat->add_option("--max-tokens", options.max_tokens, "longest answer; 0: as long as fits")
      ->transform(whole_number(0, int64_t{1} << 24))
      ->capture_default_str();
  chat->footer(kChatHelp);
}

}  // namespace fathom::cli
