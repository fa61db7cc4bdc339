// Where the settings of a command come from: its flags, over FATHOM_* variables, over a
// configuration file, over defaults.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/flags/config_file.h"

namespace fathom::cli {

// Of the environment, those that begin with FATHOM_.
using Variables = std::map<std::string, std::string>;
inline constexpr const char* kConfigVariable = "FATHOM_CONFIG";  // in place of --config
Variables fathom_variables();

// The source of a flag's value: "flag --port", "environment FATHOM_PORT", "file fathom.toml:3".
// Flags that are not in it have their defaults.
using Sources = std::map<const CLI::Option*, std::string>;

// Gives the flags that are not in `sources` what variables say, and adds them to it. One that needs
// another flag counts only where that is set: FATHOM_RANKS may be meant for a launcher. Empty
// variables are as good as none. Errors name the variable.
Status apply_variables(CLI::App& command, const Variables& variables, Sources& sources);

// The same with a file's values: the command's table counts before the top level. All keys are
// checked, those for other commands, too: `app` has the commands. Errors name file, line and key.
Status apply_config(const CLI::App& app, CLI::App& command, const ConfigFile& file,
                    Sources& sources);

// Sentences about variables that no command knows but that look as if one was meant. `app` has the
// commands.
std::vector<std::string> doubtful_variables(const CLI::App& app, const Variables& variables);

}  // namespace fathom::cli
