#include "cli/flags/log_flags.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/flags/checks.h"
#include "cli/flags/help.h"

namespace fathom::cli {

void add_log_flags(CLI::App& app, LogOptions& options) {
  app.option_defaults()->group(kLoggingGroup);
  app.add_option_function<std::string>(
         "--log-format",
         [&options](const std::string& name) {
           options.format = name == "json" ? LogFormat::kJson : LogFormat::kText;
         },
         "how lines of the log are written; json: an object a line")
      ->option_text("text|json")
      ->check(one_of({"text", "json"}))
      ->default_str("text");
  constexpr LogLevel kLevels[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning,
                                  LogLevel::kError};
  std::vector<std::string> names;
  for (const LogLevel level : kLevels) names.emplace_back(to_string(level));
  app.add_option_function<std::string>(
         "--log-level",
         [&options, kLevels](const std::string& name) {
           for (const LogLevel level : kLevels) {
             if (name == to_string(level)) options.level = level;
           }
         },
         "what is logged, and what is worse: debug, info, warning or error")
      ->option_text("LEVEL")
      ->check(one_of(names))
      ->default_str(to_string(options.level));
  takes_on_off(app.add_option("--log-requests", options.requests,
                              "a line for each request that ends, without what it asks "
                              "(docs/operations.md)"))
      ->default_str("on");
  app.add_flag("--log-prompts", options.prompts,
               "what is asked and answered, too: 8 KiB of each at most");
}

}  // namespace fathom::cli
