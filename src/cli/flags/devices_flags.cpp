#include "cli/flags/commands.h"
#include "cli/flags/help.h"

namespace fathom::cli {

void add_devices(CLI::App& app, DevicesOptions& options) {
  auto* devices = app.add_subcommand("devices", "list the chips that there are");
  devices->option_defaults()->group(kModelGroup);
  devices->add_flag("--json", options.json, "as JSON, with why a chip cannot be used");
}

}  // namespace fathom::cli
