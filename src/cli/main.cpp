// The fathom binary: command line in, one command run.
#include <CLI/CLI.hpp>
#include <exception>
#include <string>

#include "base/log.h"
#include "cli/flags/commands.h"
#include "cli/flags/explain.h"
#include "cli/process_setup.h"
#include "cli/version.h"

namespace fathom::cli {
namespace {

int run(int argc, char** argv) {
  CLI::App app("Fathom serves DeepSeek-V3 and R1 on any chip.", "fathom");
  app.set_version_flag("--version", std::string("fathom ") + kVersion);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  ServeOptions serve;
  ChatOptions chat;
  BenchOptions bench;
  ConvertOptions convert;
  DoctorOptions doctor;
  add_serve(app, serve);
  add_chat(app, chat);
  add_bench(app, bench);
  add_convert(app, convert);
  add_doctor(app, doctor);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return explain(app, error, argc, argv);
  }
  if (app.got_subcommand("serve")) return run_serve(serve);
  if (app.got_subcommand("chat")) return run_chat(chat);
  if (app.got_subcommand("bench")) return run_bench(bench);
  if (app.got_subcommand("convert")) return run_convert(convert);
  return run_doctor(doctor);
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
