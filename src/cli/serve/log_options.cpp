#include "cli/serve/log_options.h"

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

Status check_log(const LogOptions& options) {
  if (!options.prompts || options.requests) return {};
  return invalid_argument(
      "--log-prompts: expected --log-requests on, whose lines hold them, got off", "--log-prompts");
}

void start_log(const LogOptions& options) {
  set_log_format(options.format);
  set_log_level(options.level);
  start_log_thread();
}

api::RequestLogOptions request_log_options(const LogOptions& options) {
  return {.lines = options.requests, .texts = options.prompts};
}

}  // namespace fathom::cli
