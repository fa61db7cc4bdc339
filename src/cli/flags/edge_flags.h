// The flags of how a server meets the world.
#pragma once

#include "cli/serve/edge_settings.h"

namespace CLI {
class App;
}  // namespace CLI

namespace fathom::cli {

void add_edge_flags(CLI::App& app, EdgeSettings& settings);

}  // namespace fathom::cli
