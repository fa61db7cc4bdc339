#include "cli/flags/print_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "cli/flags/flag.h"
#include "cli/flags/help.h"

namespace fathom::cli {
namespace {

std::string toml_string(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string toml_value(FlagKind kind, const std::string& text) {
  return kind == FlagKind::kText || kind == FlagKind::kOnOff ? toml_string(text) : text;
}

// "[128,512]" as CLI11 writes a list's default.
std::vector<std::string> default_values(const CLI::Option& flag) {
  std::string text = flag.get_default_str();
  if (!is_list(flag)) return {text};
  if (text.size() < 2) return {};
  return CLI::detail::split(text.substr(1, text.size() - 2), ',');
}

std::string setting_line(const CLI::Option& flag, const Sources& sources) {
  const auto source = sources.find(&flag);
  const bool set = source != sources.end();
  const FlagKind kind = kind_of(flag);
  if (set && is_secret(flag)) {
    return fmt::format("# {} =  # {}, not shown\n", key_of(flag), source->second);
  }
  if (!set && !is_list(flag) && flag.get_default_str().empty() && kind != FlagKind::kSwitch) {
    return fmt::format("# {} =  # not set\n", key_of(flag));
  }
  std::vector<std::string> values = set ? flag.results() : default_values(flag);
  if (kind == FlagKind::kSwitch) values = {values.back().empty() ? "false" : values.back()};
  for (std::string& value : values) value = toml_value(kind, value);
  const std::string text =
      is_list(flag) ? fmt::format("[{}]", fmt::join(values, ", ")) : values.back();
  return fmt::format("{} = {}  # {}\n", key_of(flag), text, set ? source->second : "default");
}

}  // namespace

std::string config_text(const CLI::App& command, const Sources& sources) {
  std::string text = fmt::format("# fathom {}: what it runs with, and where each value is from\n",
                                 command.get_name());
  for (const FlagGroup& group : groups_of(command)) {
    std::string lines;
    for (const CLI::Option* flag : group.flags) {
      if (is_setting(*flag)) lines += setting_line(*flag, sources);
    }
    if (!lines.empty()) text += fmt::format("\n# {}\n{}", group.name, lines);
  }
  return text;
}

}  // namespace fathom::cli
