#include "cli/flags/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "cli/flags/flag.h"

namespace fathom::cli {
namespace {

constexpr std::array kGroups = {
    kModelGroup,          kConversationGroup, kMeasureGroup,  kOutputGroup, kNetworkGroup,
    kAccessGroup,         kSpeedGroup,        kRequestsGroup, kLimitsGroup, kRanksGroup,
    kDisaggregationGroup, kLoggingGroup,      kOtherGroup};
constexpr size_t kColumns = 100;
constexpr size_t kTextColumn = 31;

// "--port N", "--pin, --no-pin", "-h, --help".
std::string left_side(const CLI::Option& flag) {
  std::string text;
  for (const auto& name : flag.get_snames()) text += fmt::format("-{}, ", name);
  for (const auto& name : flag.get_lnames()) text += fmt::format("--{}, ", name);
  text.resize(text.size() - 2);
  const FlagKind kind = kind_of(flag);
  if (kind == FlagKind::kSwitch) return text;
  if (!flag.get_option_text().empty()) return text + " " + flag.get_option_text();
  switch (kind) {
    case FlagKind::kInteger:
    case FlagKind::kNumber:
      return text + " N";
    case FlagKind::kSize:
      return text + " SIZE";
    case FlagKind::kOnOff:
      return text + " on|off";
    default:
      return text + " TEXT";
  }
}

std::string right_side(const CLI::Option& flag) {
  const std::string value = flag.get_default_str();
  if (value.empty() || kind_of(flag) == FlagKind::kSwitch) return flag.get_description();
  if (!is_list(flag)) return fmt::format("{} [{}]", flag.get_description(), value);
  return fmt::format("{} {}", flag.get_description(), value);  // in brackets already
}

// `text` in lines that begin in one column and end before kColumns. The first begins where `out`
// ends.
void append_wrapped(std::string& out, const std::string& text, size_t column) {
  size_t at = column;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (at > column && at + 1 + word.size() > kColumns) {
      out += "\n" + std::string(column, ' ');
      at = column;
    } else if (at > column) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
  }
  out += '\n';
}

void append_line(std::string& out, const std::string& left, const std::string& right) {
  out += "  " + left;
  const size_t used = 2 + left.size();
  out += used + 2 > kTextColumn ? "\n" + std::string(kTextColumn, ' ')
                                : std::string(kTextColumn - used, ' ');
  append_wrapped(out, right, kTextColumn);
}

}  // namespace

std::vector<FlagGroup> groups_of(const CLI::App& command) {
  std::vector<FlagGroup> groups;
  for (const char* name : kGroups) {
    const auto in_group = [name](const CLI::Option* flag) {
      return flag->get_group() == name && flag->nonpositional();
    };
    auto flags = command.get_options(in_group);
    if (!flags.empty()) groups.push_back({name, std::move(flags)});
  }
  return groups;
}

std::string command_help(const CLI::App& command) {
  const CLI::Option* positional = positional_of(command);
  std::string words;
  if (positional != nullptr) {
    words = fmt::format("[{}] ", positional->get_name(true));
  } else if (command.get_option_no_throw("--model") != nullptr) {
    words = "[MODEL] ";
  }
  std::string out = fmt::format("{}\n\nUsage: fathom {} {}[FLAGS]\n", command.get_description(),
                                command.get_name(), words);
  if (positional != nullptr) {
    out += '\n';
    append_line(out, positional->get_name(true), positional->get_description());
  }
  for (const FlagGroup& group : groups_of(command)) {
    out += fmt::format("\n{}:\n", group.name);
    for (const CLI::Option* flag : group.flags) {
      append_line(out, left_side(*flag), right_side(*flag));
    }
  }
  out += '\n';
  append_wrapped(out,
                 "Defaults are in brackets. Every flag can also be given as a variable "
                 "(--max-context as FATHOM_MAX_CONTEXT) or in a file (docs/configuration.md): "
                 "flags count before variables, and these before the file.",
                 0);
  if (!command.get_footer().empty()) out += fmt::format("\n{}\n", command.get_footer());
  return out;
}

std::string binary_help(const CLI::App& app) {
  std::string out = app.get_description() + "\n\nUsage: fathom COMMAND [FLAGS]\n\nCommands:\n";
  for (const CLI::App* command : app.get_subcommands({})) {
    out += fmt::format("  {:<9}{}\n", command->get_name(), command->get_description());
  }
  return out + "\nSee: fathom COMMAND --help; fathom --version\n";
}

}  // namespace fathom::cli
