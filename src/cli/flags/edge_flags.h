// The flags of a server's network edge: addresses, keys, TLS, limits.
#pragma once

#include "cli/serve/edge_settings.h"

namespace CLI {
class App;
}  // namespace CLI

namespace fathom::cli {

void add_edge_flags(CLI::App& app, EdgeSettings& settings);

}  // namespace fathom::cli
