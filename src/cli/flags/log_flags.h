// The flags of what a server writes to its log.
#pragma once

#include "cli/serve/log_options.h"

namespace CLI {
class App;
}  // namespace CLI

namespace fathom::cli {

void add_log_flags(CLI::App& app, LogOptions& options);

}  // namespace fathom::cli
