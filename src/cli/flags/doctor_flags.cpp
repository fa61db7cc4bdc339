#include "cli/flags/commands.h"

namespace fathom::cli {

void add_doctor(CLI::App& app, DoctorOptions& options) {
  auto* doctor = app.add_subcommand("doctor", "say what is missing here and how to mend it");
  doctor->add_option("--model", options.model, "model directory to look at too");
  doctor->add_option("--port", options.port, "port that serve would use")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
}

}  // namespace fathom::cli
