// The command line as a whole: words, variables and a configuration file in, one command with its
// options out.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/flags/arguments.h"
#include "cli/flags/commands.h"
#include "cli/flags/settings.h"

namespace fathom::cli {

// What each command would run with.
struct Commands {
  ServeOptions serve;
  ChatOptions chat;
  BenchOptions bench;
  ConvertOptions convert;
  DevicesOptions devices;
  DoctorOptions doctor;
};

class CommandLine {
 public:
  CommandLine();

  // What to print in place of running a command: help on stdout, or on stderr what is wrong.
  struct Answer {
    int exit_code = 0;
    std::string text;
  };
  // Called once. Without an answer, command() is to be run with its part of options().
  std::optional<Answer> read(const std::vector<std::string>& words, const Variables& variables);

  const std::string& command() const { return command_; }
  // Sentences about variables that may have been meant for it.
  const std::vector<std::string>& warnings() const { return warnings_; }
  Commands& options() { return options_; }
  // The commands with all their flags.
  const CLI::App& app() const { return app_; }

 private:
  std::optional<Answer> read_command(CLI::App& command, const std::vector<std::string>& words,
                                     const Variables& variables);
  Status apply_sources(CLI::App& command, const Arguments& arguments, const Variables& variables);
  std::optional<Answer> parse(const CLI::App& command, std::vector<std::string> words);

  CLI::App app_;
  Commands options_;
  bool print_config_ = false;
  std::string command_;
  Sources sources_;
  std::vector<std::string> warnings_;
};

}  // namespace fathom::cli
