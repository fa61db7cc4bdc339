#include "cli/flags/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <sstream>

#include "base/suggest.h"
#include "cli/flags/checks.h"
#include "cli/flags/flag.h"
#include "cli/flags/other_servers.h"

namespace fathom::cli {
namespace {

constexpr const char* kPrefix = "FATHOM_";

// Where a value comes from, in words and as the beginning of errors.
struct Place {
  std::string source;
  std::string prefix;
};

// Gives a flag its value as the command line would.
Status set_flag(CLI::Option& flag, const std::vector<std::string>& texts, const Place& place) {
  try {
    for (const std::string& text : texts) flag.add_result(text);
    if (flag.count() > 0) flag.run_callback();
    return {};
  } catch (const CLI::Error& problem) {
    std::string message = problem.what();
    const std::string own_name = flag.get_name() + ": ";
    if (message.starts_with(own_name)) message.erase(0, own_name.size());
    return invalid_argument(place.prefix + ": " + message, key_of(flag));
  }
}

// What a source holds for a flag: nothing, its values as text, or an error.
using Lookup = std::function<Result<std::optional<std::vector<std::string>>>(const CLI::Option&)>;

// Fills flags in two rounds, so that what others need is known first. Of flags that exclude each
// other the one of the stronger source counts.
Status fill(CLI::App& command, const Lookup& lookup,
            const std::function<Place(const CLI::Option&)>& place_of, Sources& sources) {
  for (const bool dependent : {false, true}) {
    for (CLI::Option* flag : command.get_options()) {
      const auto needed = flag->get_needs();
      if (!is_setting(*flag) || needed.empty() == dependent || sources.contains(flag)) continue;
      const auto excluded = flag->get_excludes();
      const auto is_given = [&](const CLI::Option* other) { return sources.contains(other); };
      if (!std::all_of(needed.begin(), needed.end(), is_given)) continue;
      if (std::any_of(excluded.begin(), excluded.end(), is_given)) continue;
      FATHOM_ASSIGN(const auto texts, lookup(*flag));
      if (!texts) continue;
      const Place place = place_of(*flag);
      FATHOM_TRY(set_flag(*flag, *texts, place));
      sources[flag] = place.source;
    }
  }
  return {};
}

// A variable's text as values of a flag.
Result<std::vector<std::string>> split_variable(const CLI::Option& flag, const std::string& text) {
  if (kind_of(flag) == FlagKind::kSwitch) {
    const auto on = parse_switch(text);
    if (!on) {
      return invalid_argument(
          fmt::format("{}: expected {}, got {}", variable_of(flag), kSwitchWords, text));
    }
    return std::vector<std::string>{*on ? "true" : "false"};
  }
  if (!is_list(flag) || flag.get_delimiter() != '\0') return std::vector<std::string>{text};
  std::istringstream words(text);  // values that have commas themselves are separated by spaces
  std::vector<std::string> values;
  for (std::string word; words >> word;) values.push_back(word);
  return values;
}

const char* expected_of(FlagKind kind) {
  switch (kind) {
    case FlagKind::kSwitch:
      return "true or false";
    case FlagKind::kOnOff:
      return "true, false, \"on\" or \"off\"";
    case FlagKind::kInteger:
      return "a whole number";
    case FlagKind::kNumber:
      return "a number";
    case FlagKind::kSize:
      return "a number of bytes, or a size such as \"64GB\"";
    case FlagKind::kText:
      break;
  }
  return "a string";
}

bool accepts(FlagKind kind, ConfigValue::Kind given) {
  using Kind = ConfigValue::Kind;
  switch (kind) {
    case FlagKind::kSwitch:
      return given == Kind::kBoolean;
    case FlagKind::kOnOff:
      return given == Kind::kBoolean || given == Kind::kText;
    case FlagKind::kInteger:
      return given == Kind::kInteger;
    case FlagKind::kNumber:
      return given == Kind::kInteger || given == Kind::kNumber;
    case FlagKind::kSize:
      return given == Kind::kInteger || given == Kind::kText;
    case FlagKind::kText:
      break;
  }
  return given == Kind::kText;
}

std::string line_of(const ConfigFile& file, int line) {
  return fmt::format("{}:{}", file.name, line);
}

Result<std::vector<std::string>> texts_of(const ConfigFile& file, const ConfigEntry& entry,
                                          const CLI::Option& flag) {
  const FlagKind kind = kind_of(flag);
  const auto wrong = [&](const std::string& got) {
    return invalid_argument(
        fmt::format("{}: {}: expected {}{}, got {}", line_of(file, entry.line), entry.key,
                    expected_of(kind), is_list(flag) ? " or a list of such" : "", got),
        entry.key);
  };
  if (entry.is_list && !is_list(flag)) return wrong("a list");
  std::vector<std::string> texts;
  for (const ConfigValue& value : entry.values) {
    if (!accepts(kind, value.kind)) return wrong(value.written);
    texts.push_back(value.text);
  }
  return texts;
}

const ConfigEntry* find_entry(const ConfigTable& table, const std::string& key) {
  for (const ConfigEntry& entry : table.entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

// The command's own table is looked at first.
const ConfigEntry* find_entry(const ConfigFile& file, const std::string& command,
                              const std::string& key) {
  for (const std::string& name : {command, std::string()}) {
    for (const ConfigTable& table : file.tables) {
      if (table.name != name) continue;
      if (const auto* entry = find_entry(table, key)) return entry;
    }
  }
  return nullptr;
}

// What to write in place of a key that none of the commands has.
std::string advice_for(const std::string& key, const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> known;
  for (const CLI::App* command : commands) {
    const CLI::Option* flag = command->get_option_no_throw("--" + key);
    if (flag != nullptr && is_setting(*flag))
      return fmt::format("; write {} = false", key_of(*flag));
    for (std::string& own : keys_of(*command)) known.push_back(std::move(own));
  }
  if (const OtherName* other = find_other_name("--" + key)) {
    if (other->ours == nullptr) return fmt::format(": {}", other->advice);
    return fmt::format("; write {}", std::string(other->ours).substr(2));
  }
  const auto best = nearest(key, known);
  return best ? fmt::format("; did you mean {}?", *best) : "";
}

bool knows(const CLI::App& command, const std::string& key) {
  const std::vector<std::string> keys = keys_of(command);
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// Whether every key is a flag of its table's command, or of any at the top level.
Status check_keys(const CLI::App& app, const ConfigFile& file) {
  const std::vector<const CLI::App*> all = app.get_subcommands({});
  for (const ConfigTable& table : file.tables) {
    std::vector<const CLI::App*> commands = all;
    if (!table.name.empty()) {
      std::erase_if(commands, [&](const CLI::App* each) { return each->get_name() != table.name; });
    }
    if (commands.empty()) {
      std::vector<std::string> names;
      for (const CLI::App* each : all) names.push_back(each->get_name());
      return invalid_argument(fmt::format("{}: [{}]: expected a command's table: {}",
                                          line_of(file, table.line), table.name, list_of(names)));
    }
    for (const ConfigEntry& entry : table.entries) {
      if (std::any_of(commands.begin(), commands.end(),
                      [&](const CLI::App* each) { return knows(*each, entry.key); })) {
        continue;
      }
      const std::string of = table.name.empty() ? "any command" : "fathom " + table.name;
      return invalid_argument(fmt::format("{}: {}: no flag of {}{}", line_of(file, entry.line),
                                          entry.key, of, advice_for(entry.key, commands)),
                              entry.key);
    }
  }
  return {};
}

// How many typing errors two names of variables may be apart: none for short names, for other
// programs have short names, too.
int slips_allowed(const std::string& variable) {
  return std::min<int>(2, static_cast<int>(variable.size() - std::string(kPrefix).size()) / 4);
}

}  // namespace

Variables fathom_variables() {
  Variables variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == std::string::npos) continue;
    variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

Status apply_variables(CLI::App& command, const Variables& variables, Sources& sources) {
  const auto lookup =
      [&](const CLI::Option& flag) -> Result<std::optional<std::vector<std::string>>> {
    const auto found = variables.find(variable_of(flag));
    if (found == variables.end() || found->second.empty()) {
      return std::optional<std::vector<std::string>>();
    }
    FATHOM_ASSIGN(auto values, split_variable(flag, found->second));
    return std::optional(std::move(values));
  };
  const auto place_of = [](const CLI::Option& flag) {
    return Place{"environment " + variable_of(flag), variable_of(flag)};
  };
  return fill(command, lookup, place_of, sources);
}

Status apply_config(const CLI::App& app, CLI::App& command, const ConfigFile& file,
                    Sources& sources) {
  FATHOM_TRY(check_keys(app, file));
  const auto entry_of = [&](const CLI::Option& flag) {
    return find_entry(file, command.get_name(), key_of(flag));
  };
  const auto lookup =
      [&](const CLI::Option& flag) -> Result<std::optional<std::vector<std::string>>> {
    const ConfigEntry* entry = entry_of(flag);
    if (entry == nullptr) return std::optional<std::vector<std::string>>();
    FATHOM_ASSIGN(auto texts, texts_of(file, *entry, flag));
    return std::optional(std::move(texts));
  };
  const auto place_of = [&](const CLI::Option& flag) {
    const std::string line = line_of(file, entry_of(flag)->line);
    return Place{"file " + line, line + ": " + key_of(flag)};
  };
  return fill(command, lookup, place_of, sources);
}

std::vector<std::string> doubtful_variables(const CLI::App& app, const Variables& variables) {
  std::set<std::string> known = {kConfigVariable};
  for (const CLI::App* command : app.get_subcommands({})) {
    for (const CLI::Option* flag : command->get_options()) {
      if (is_setting(*flag)) known.insert(variable_of(*flag));
    }
  }
  std::vector<std::string> sentences;
  for (const auto& [name, value] : variables) {
    if (known.contains(name)) continue;
    for (const std::string& meant : known) {
      if (edit_distance(name, meant) > slips_allowed(name)) continue;
      sentences.push_back(
          fmt::format("{} is no variable of fathom; did you mean {}?", name, meant));
      break;
    }
  }
  return sentences;
}

}  // namespace fathom::cli
