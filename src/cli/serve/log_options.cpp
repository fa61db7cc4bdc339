#include "cli/serve/log_options.h"

namespace fathom::cli {

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
