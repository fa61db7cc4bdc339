// The fathom binary: command line in, one command run.
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>

#include "base/log.h"
#include "cli/flags/command_line.h"
#include "cli/flags/completion.h"
#include "cli/serve/process_setup.h"
#include "serving/rank_job.h"

namespace fathom::cli {
namespace {

// With several ranks, rank 0 reports what all of them see.
bool speaks_for_all() {
  const auto launch = serving::read_launch();
  return !launch || launch->rank == 0;
}

int run(int argc, char** argv) {
  CommandLine line;
  // For packaging, so --help does not show it.
  if (argc == 3 && std::string_view(argv[1]) == "completion") {
    return print_completion(line.app(), argv[2]);
  }
  const auto answer = line.read({argv + std::min(argc, 1), argv + argc}, fathom_variables());
  if (!line.warnings().empty() && speaks_for_all()) {
    for (const std::string& warning : line.warnings()) log_warning("{}", warning);
  }
  if (answer) {
    fmt::print(answer->exit_code == 0 ? stdout : stderr, "{}", answer->text);
    return answer->exit_code;
  }
  Commands& options = line.options();
  if (line.command() == "serve") return run_serve(options.serve);
  if (line.command() == "chat") return run_chat(options.chat);
  if (line.command() == "bench") return run_bench(options.bench);
  if (line.command() == "convert") return run_convert(options.convert);
  if (line.command() == "devices") return run_devices(options.devices);
  return run_doctor(options.doctor);
}

}  // namespace
}  // namespace fathom::cli

int main(int argc, char** argv) {
  fathom::cli::keep_standard_streams();
  try {
    return fathom::cli::run(argc, argv);
  } catch (const std::exception& error) {  // a reader that is gone where SIGPIPE is ignored
    fathom::log_error("{}", error.what());
    return 1;
  }
}
