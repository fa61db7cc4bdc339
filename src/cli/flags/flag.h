// What a flag is called in the environment and in a configuration file, and what it takes there.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::cli {

enum class FlagKind {
  kSwitch,   // there or not: --exact
  kOnOff,    // --prefix-cache on
  kInteger,  // whole numbers
  kNumber,
  kSize,  // bytes, or "64GB"
  kText,
};
FlagKind kind_of(const CLI::Option& flag);
// Whether it may be given several times.
bool is_list(const CLI::Option& flag);

// "--max-running" is max-running in a file and FATHOM_MAX_RUNNING in the environment.
std::string key_of(const CLI::Option& flag);
std::string variable_of(const CLI::Option& flag);

// Whether a file or the environment may set it: not --help, nor flags for a single run.
bool is_setting(const CLI::Option& flag);
// Whether its value must not be shown.
bool is_secret(const CLI::Option& flag);

// The option that takes words without a flag; null: none.
CLI::Option* positional_of(CLI::App& command);
const CLI::Option* positional_of(const CLI::App& command);
// All that may be typed: "--model", "--port", ...
std::vector<std::string> names_of(const CLI::App& command);
// Keys of the flags that a file may set.
std::vector<std::string> keys_of(const CLI::App& command);

// 1, true, on and yes; 0, false, off and no; nothing else.
std::optional<bool> parse_switch(std::string_view text);
inline constexpr const char* kSwitchWords = "1, 0, true, false, on, off, yes or no";

}  // namespace fathom::cli
