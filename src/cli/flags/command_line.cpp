#include "cli/flags/command_line.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/suggest.h"
#include "cli/flags/checks.h"
#include "cli/flags/flag.h"
#include "cli/flags/help.h"
#include "cli/flags/print_config.h"
#include "serving/version.h"

namespace fathom::cli {
namespace {

constexpr int kUsage = 2;

// "fathom: " before each line.
std::string as_errors(const std::string& lines) {
  std::string text = "fathom: ";
  for (const char c : lines) {
    text += c;
    if (c == '\n') text += "fathom: ";
  }
  return text + "\n";
}

CommandLine::Answer refuse(const std::string& mistakes) {
  return {kUsage, as_errors(mistakes)};
}

bool is_help(const std::string& word) {
  return word == "--help" || word == "-h";
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

// Settings of every flag that differ from CLI11's defaults.
void finish_flags(CLI::App& command) {
  command.get_help_ptr()->group(kOtherGroup)->description("this list");
  for (CLI::Option* flag : command.get_options()) {
    // Further words are not its: `--cors-origin A DIR` has a model.
    if (is_list(*flag) && !flag->get_positional()) flag->allow_extra_args(false);
  }
}

}  // namespace

CommandLine::CommandLine() : app_("Fathom serves DeepSeek-V3 and R1 on any chip.", "fathom") {
  app_.set_version_flag("--version", std::string("fathom ") + serving::kVersion);
  app_.require_subcommand(1);
  add_serve(app_, options_.serve);
  add_chat(app_, options_.chat);
  add_bench(app_, options_.bench);
  add_convert(app_, options_.convert);
  add_devices(app_, options_.devices);
  add_doctor(app_, options_.doctor);
  for (CLI::App* command : app_.get_subcommands({})) {
    command->option_defaults()->group(kOtherGroup);
    command->add_option("--config", "TOML file of flags (docs/configuration.md)")
        ->option_text("FILE")
        ->configurable(false);
    command
        ->add_flag("--print-config", print_config_,
                   "print what it would run with, and where that is from, and end")
        ->configurable(false);
    finish_flags(*command);
  }
}

std::optional<CommandLine::Answer> CommandLine::read(const std::vector<std::string>& words,
                                                     const Variables& variables) {
  const std::vector<std::string> names = command_names(app_);
  if (words.empty()) {
    return Answer{kUsage, fmt::format("fathom: expected a command: {}\nSee: fathom --help\n",
                                      list_of(names))};
  }
  const std::string& first = words.front();
  if (is_help(first)) return Answer{0, binary_help(app_)};
  if (std::find(names.begin(), names.end(), first) != names.end()) {
    command_ = first;
    return read_command(*app_.get_subcommand(first), {words.begin() + 1, words.end()}, variables);
  }
  if (first == "--version") return Answer{0, fmt::format("fathom {}\n", serving::kVersion)};
  std::string text =
      fmt::format("unknown {} {}", first.starts_with("-") ? "flag" : "command", first);
  if (const auto best = nearest(first, names)) text += fmt::format("; did you mean {}?", *best);
  return refuse(text);
}

std::optional<CommandLine::Answer> CommandLine::read_command(CLI::App& command,
                                                             const std::vector<std::string>& words,
                                                             const Variables& variables) {
  const auto flags_end = std::find(words.begin(), words.end(), "--");
  const bool wants_help = std::any_of(words.begin(), flags_end, is_help);
  if (wants_help) return Answer{0, command_help(command)};
  auto arguments = sort_out(command, words);
  if (!arguments) return refuse(arguments.error().message);
  for (const auto& [flag, given] : arguments->given) sources_[flag] = "flag " + given.name;
  if (const auto applied = apply_sources(command, *arguments, variables); !applied) {
    return refuse(applied.error().message);
  }
  if (CLI::Option* positional = positional_of(command)) {
    for (const std::string& word : arguments->positionals) positional->add_result(word);
  }
  warnings_ = doubtful_variables(app_, variables);
  if (auto answer = parse(command, std::move(arguments->words))) return answer;
  if (print_config_) return Answer{0, config_text(command, sources_)};
  return std::nullopt;
}

Status CommandLine::apply_sources(CLI::App& command, const Arguments& arguments,
                                  const Variables& variables) {
  FATHOM_TRY(apply_variables(command, variables, sources_));
  std::string from = "--config";
  std::string path;
  const auto given = arguments.given.find(command.get_option("--config"));
  if (given != arguments.given.end()) {
    path = given->second.value;
  } else if (const auto set = variables.find(kConfigVariable); set != variables.end()) {
    from = set->first;
    path = set->second;
  }
  if (path.empty()) return {};
  const auto file = read_config(path);
  if (!file && file.error().code == ErrorCode::kNotFound) return file.error().with_context(from);
  if (!file) return file.error();
  return apply_config(app_, command, *file, sources_);
}

// CLI11 sets the flags that were given, and checks that those needed are there.
std::optional<CommandLine::Answer> CommandLine::parse(const CLI::App& command,
                                                      std::vector<std::string> words) {
  words.insert(words.begin(), command.get_name());
  std::reverse(words.begin(), words.end());
  try {
    app_.parse(std::move(words));
    return std::nullopt;
  } catch (const CLI::ParseError& problem) {
    return Answer{kUsage, fmt::format("fathom: {}\nSee: fathom {} --help\n", problem.what(),
                                      command.get_name())};
  }
}

}  // namespace fathom::cli
