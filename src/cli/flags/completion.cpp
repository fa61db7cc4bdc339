#include "cli/flags/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <vector>

namespace fathom::cli {
namespace {

struct Flag {
  std::vector<std::string> names;  // "--pin", "--no-pin"
  std::string help;
  bool takes_value = false;
  bool may_repeat = false;
  std::vector<std::string> choices;  // empty: any value
};

// The words that a flag takes, of "TEXT:{on,off}" as CLI11 describes it.
std::vector<std::string> choices_in(const std::string& type) {
  const size_t begin = type.find('{');
  const size_t end = type.find('}', begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

std::vector<Flag> flags_of(const CLI::App& command) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    Flag flag;
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    flag.help = option->get_description();
    flag.takes_value = option->get_items_expected_max() > 0;
    flag.may_repeat = option->get_items_expected_max() > 1;
    if (flag.takes_value) flag.choices = choices_in(option->get_type_name());
    flags.push_back(std::move(flag));
  }
  return flags;
}

std::vector<std::string> names_of_all(const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) names.insert(names.end(), flag.names.begin(), flag.names.end());
  return names;
}

std::string bash_values(const std::string& command, const Flag& flag) {
  std::string text;
  for (const std::string& name : flag.names) {
    // Without choices the shell goes on with names of files.
    text += fmt::format("    '{} {}') ", command, name);
    text += flag.choices.empty() ? "return ;;\n"
                                 : fmt::format("words='{}' ;;\n", fmt::join(flag.choices, " "));
  }
  return text;
}

std::string bash_script(const CLI::App& app) {
  std::vector<std::string> first = names_of_all(flags_of(app));
  std::string cases;
  for (const CLI::App* command : app.get_subcommands({})) {
    const auto flags = flags_of(*command);
    for (const Flag& flag : flags) {
      if (flag.takes_value) cases += bash_values(command->get_name(), flag);
    }
    cases += fmt::format("    '{} '*) words='{}' ;;\n", command->get_name(),
                         fmt::join(names_of_all(flags), " "));
    first.push_back(command->get_name());
  }
  return fmt::format(R"(# Completion for bash, made by: fathom completion bash
_fathom() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} words=
  # "--flag=value" comes as three words.
  if [[ $current == = ]]; then
    current=
  elif [[ $before == = ]]; then
    before=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    words='{}'
  else
    case "${{COMP_WORDS[1]}} $before" in
{}    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _fathom fathom
)",
                     fmt::join(first, " "), cases);
}

// Within single quotes, and with what _arguments would take for its own behind a backslash.
std::string zsh_quoted(const std::string& text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
      continue;
    }
    if (c == '[' || c == ']' || c == ':' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted;
}

std::string zsh_flag(const std::string& name, const Flag& flag) {
  std::string text = fmt::format("        '{}{}{}[{}]", flag.may_repeat ? "*" : "", name,
                                 flag.takes_value ? "=" : "", zsh_quoted(flag.help));
  if (flag.takes_value && flag.choices.empty()) text += ":value:_files";
  if (flag.takes_value && !flag.choices.empty()) {
    text += fmt::format(":value:({})", fmt::join(flag.choices, " "));
  }
  return text + "'";
}

std::string zsh_arguments(const CLI::App& command) {
  std::string text = "_arguments";
  for (const Flag& flag : flags_of(command)) {
    for (const std::string& name : flag.names) text += " \\\n" + zsh_flag(name, flag);
  }
  return text;
}

std::string zsh_script(const CLI::App& app) {
  std::string commands;
  std::string cases;
  for (const CLI::App* command : app.get_subcommands({})) {
    commands +=
        fmt::format("    '{}:{}'\n", command->get_name(), zsh_quoted(command->get_description()));
    cases += fmt::format("    {})\n      {} ;;\n", command->get_name(), zsh_arguments(*command));
  }
  return fmt::format(R"(#compdef fathom
# Completion for zsh, made by: fathom completion zsh
_fathom() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
      {}
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{}  esac
}}
if [[ $funcstack[1] == _fathom ]]; then
  _fathom "$@"
else
  compdef _fathom fathom
fi
)",
                     commands, zsh_arguments(app), cases);
}

}  // namespace

std::optional<std::string> completion_script(const CLI::App& app, std::string_view shell) {
  if (shell == "bash") return bash_script(app);
  if (shell == "zsh") return zsh_script(app);
  return std::nullopt;
}

int print_completion(const CLI::App& app, std::string_view shell) {
  const auto script = completion_script(app, shell);
  if (!script) {
    fmt::print(stderr, "fathom: completion: expected bash or zsh, got {}\n", shell);
    return 2;
  }
  fmt::print("{}", *script);
  return 0;
}

}  // namespace fathom::cli
