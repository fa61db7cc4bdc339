#include "cli/flags/commands.h"
#include "cli/flags/model_flags.h"

namespace fathom::cli {

void add_chat(CLI::App& app, ChatOptions& options) {
  auto* chat = app.add_subcommand("chat", "talk to a server, or to a model it starts itself");
  chat->add_option("--url", options.url, "server to talk to")->capture_default_str();
  chat->add_option("--api-key", options.api_key, "key that the server wants")
      ->envname("FATHOM_API_KEY");
  chat->add_option("--ca", options.ca_file,
                   "PEM file of certificates to trust with https; default: the system's");
  add_stack_flags(*chat, options.stack);
  chat->add_option("--model-name", options.model, "model to ask for; default: the server's first");
  chat->add_option("--system", options.system, "system prompt");
  chat->add_flag("--thinking,!--no-thinking", options.thinking,
                 "think before answering (default); --no-thinking answers directly");
  chat->add_option("--temperature", options.temperature, "0: always the likeliest token")
      ->check(CLI::Range(0.0, 2.0))
      ->capture_default_str();
  chat->add_option("--max-tokens", options.max_tokens, "longest answer; 0: as long as fits")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
}

}  // namespace fathom::cli
