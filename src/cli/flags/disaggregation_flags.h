// The flags of engines that compute prompts for others, or have others compute them.
#pragma once

#include "serving/disaggregation.h"

namespace CLI {
class App;
}  // namespace CLI

namespace fathom::cli {

void add_disaggregation_flags(CLI::App& app, serving::DisaggregationOptions& options);

}  // namespace fathom::cli
