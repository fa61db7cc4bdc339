// `--print-config`: a command's settings as a configuration file that gives the same ones.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/flags/settings.h"

namespace fathom::cli {

// Each with where it comes from, by groups as in --help. What is not set, and secrets, are
// comments.
std::string config_text(const CLI::App& command, const Sources& sources);

}  // namespace fathom::cli
