#include "cli/log_flags.h"

#include <string>
#include <vector>

namespace fathom::cli {

void add_log_flags(CLI::App& app, LogOptions& options) {
  app.add_option_function<std::string>(
         "--log-format",
         [&options](const std::string& name) {
           options.format = name == "json" ? LogFormat::kJson : LogFormat::kText;
         },
         "how lines of the log are written: text, or json, an object a line")
      ->envname("FATHOM_LOG_FORMAT")
      ->check(CLI::IsMember({"text", "json"}))
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
         "what is logged: debug, info, warning or error, and what is worse")
      ->envname("FATHOM_LOG_LEVEL")
      ->check(CLI::IsMember(names))
      ->default_str(to_string(options.level));
  app.add_option("--log-requests", options.requests,
                 "a line for each request that ends, without what it asks (docs/operations.md)")
      ->envname("FATHOM_LOG_REQUESTS")
      ->check(CLI::IsMember({"on", "off"}))
      ->default_str("on");
  app.add_flag("--log-prompts", options.prompts,
               "what is asked and answered, too: 8 KiB of each at most")
      ->envname("FATHOM_LOG_PROMPTS");
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
