// Inspects the words behind a command before CLI11 reads them: flags that exist, flags that other
// servers name differently, unknown flags.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace fathom::cli {

struct GivenFlag {
  std::string name;   // as it was typed
  std::string value;  // "": a switch
};

struct Arguments {
  std::vector<std::string> words;        // for CLI11: our names, no positionals
  std::vector<std::string> positionals;  // where the command has a positional option
  std::map<const CLI::Option*, GivenFlag> given;
};

// Where the command has no positional option, a word without a flag is the model, as in
// `fathom serve DIR`. The error has a line for each mistake.
Result<Arguments> sort_out(const CLI::App& command, const std::vector<std::string>& words);

}  // namespace fathom::cli
