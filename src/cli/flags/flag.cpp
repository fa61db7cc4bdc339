#include "cli/flags/flag.h"

#include <cctype>

namespace fathom::cli {

FlagKind kind_of(const CLI::Option& flag) {
  if (flag.get_items_expected_max() == 0) return FlagKind::kSwitch;
  const std::string described = flag.get_type_name();  // "TEXT:{a,b}" where there are choices
  const std::string type = described.substr(0, described.find(':'));
  if (type == "ON|OFF") return FlagKind::kOnOff;
  if (type == "SIZE") return FlagKind::kSize;
  if (type == "INT" || type == "UINT") return FlagKind::kInteger;
  return type == "FLOAT" ? FlagKind::kNumber : FlagKind::kText;
}

bool is_list(const CLI::Option& flag) {
  return flag.get_items_expected_max() > 1;
}

std::string key_of(const CLI::Option& flag) {
  return flag.get_lnames().front();
}

std::string variable_of(const CLI::Option& flag) {
  std::string name = "FATHOM_" + key_of(flag);
  for (char& c : name)
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

bool is_setting(const CLI::Option& flag) {
  return flag.get_configurable() && !flag.get_lnames().empty();
}

bool is_secret(const CLI::Option& flag) {
  return key_of(flag) == "api-key";
}

CLI::Option* positional_of(CLI::App& command) {
  const auto found = command.get_options([](CLI::Option* each) { return each->get_positional(); });
  return found.empty() ? nullptr : found.front();
}

const CLI::Option* positional_of(const CLI::App& command) {
  const auto found =
      command.get_options([](const CLI::Option* each) { return each->get_positional(); });
  return found.empty() ? nullptr : found.front();
}

std::vector<std::string> names_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> keys_of(const CLI::App& command) {
  std::vector<std::string> keys;
  for (const CLI::Option* option : command.get_options()) {
    if (is_setting(*option)) keys.push_back(key_of(*option));
  }
  return keys;
}

std::optional<bool> parse_switch(std::string_view text) {
  std::string word(text);
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (word == "1" || word == "true" || word == "on" || word == "yes") return true;
  if (word == "0" || word == "false" || word == "off" || word == "no") return false;
  return std::nullopt;
}

}  // namespace fathom::cli
