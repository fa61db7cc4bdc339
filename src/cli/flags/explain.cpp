#include "cli/flags/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/suggest.h"

namespace fathom::cli {
namespace {

// Option names a user may type for `command`, for suggestions.
std::vector<std::string> names_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const auto* sub : command.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

}  // namespace

int explain(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  const CLI::App* command = &app;
  for (const auto* sub : app.get_subcommands()) command = sub;
  const auto names = names_of(*command);
  for (int i = 1; i < argc; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    const bool is_name = i == 1 || word.starts_with("--");
    if (!is_name || word == command->get_name()) continue;
    if (std::find(names.begin(), names.end(), word) != names.end() || word == "--help") continue;
    if (word.starts_with("--") || command == &app) {
      fmt::print(stderr, "fathom: unknown {} {}", word.starts_with("-") ? "flag" : "command", word);
      if (const auto best = nearest(word, names)) fmt::print(stderr, "; did you mean {}?", *best);
      fmt::print(stderr, "\n");
      return 2;
    }
  }
  fmt::print(stderr, "fathom: {}\nSee: fathom {} --help\n", error.what(),
             command == &app ? "" : command->get_name());
  return 2;
}

}  // namespace fathom::cli
