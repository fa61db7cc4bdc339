// Flags of several commands: the model, the chip and how much may run at once.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "serving/stack.h"

namespace fathom::cli {

// All of `stack` that the commands which run a model have in common.
void add_stack_flags(CLI::App& command, serving::StackOptions& stack);
void add_parallel_flag(CLI::App& command, std::string& parallel);
void add_synthetic_flag(CLI::App& command, std::string& synthetic);

}  // namespace fathom::cli
