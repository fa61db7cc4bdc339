// A configuration file in TOML as keys and values, each with its line; nothing is known of flags.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace fathom::cli {

struct ConfigValue {
  enum class Kind { kText, kInteger, kNumber, kBoolean, kOther };
  Kind kind = Kind::kOther;
  std::string text;     // as a command line would have it: "true", "8000", "models/tiny"
  std::string written;  // for messages: `the string "many"`, "a table"
};

struct ConfigEntry {
  std::string key;
  int line = 0;
  bool is_list = false;
  std::vector<ConfigValue> values;  // one, but for lists
};

struct ConfigTable {
  std::string name;  // "": the top level
  int line = 0;
  std::vector<ConfigEntry> entries;
};

struct ConfigFile {
  std::string name;                 // for messages
  std::vector<ConfigTable> tables;  // the first is the top level; by line, as the entries are
};

// At most 1 MiB; also from a pipe. Errors name the file, and the line where the text is at fault.
Result<ConfigFile> read_config(const std::filesystem::path& file);
Result<ConfigFile> parse_config(std::string_view text, const std::string& name);

}  // namespace fathom::cli
