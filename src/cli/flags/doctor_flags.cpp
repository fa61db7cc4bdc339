#include "cli/flags/checks.h"
#include "cli/flags/commands.h"
#include "cli/flags/help.h"

namespace fathom::cli {

void add_doctor(CLI::App& app, DoctorOptions& options) {
  auto* doctor = app.add_subcommand("doctor", "say what is missing here and how to mend it");
  doctor->option_defaults()->group(kModelGroup);
  doctor->add_option("--model", options.model, "model directory to look at too")
      ->option_text("DIR");
  doctor->option_defaults()->group(kNetworkGroup);
  doctor->add_option("--port", options.port, "port that serve would use")
      ->transform(whole_number(1, 65535))
      ->capture_default_str();
}

}  // namespace fathom::cli
