// What a user is told where the command line is wrong.
#pragma once

#include <CLI/CLI.hpp>

namespace fathom::cli {

// CLI11's words, and the nearest right name where one was mistyped. Returns the process's exit
// code.
int explain(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv);

}  // namespace fathom::cli
