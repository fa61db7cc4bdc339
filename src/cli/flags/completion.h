// Completion of command lines in shells, made of the commands' own flags.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace fathom::cli {

// The script for "bash" or "zsh"; nothing for another shell. `app` has the commands.
std::optional<std::string> completion_script(const CLI::App& app, std::string_view shell);

// `fathom completion SHELL`: prints the script; an exit code.
int print_completion(const CLI::App& app, std::string_view shell);

}  // namespace fathom::cli
