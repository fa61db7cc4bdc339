// What a server writes to its log.
#pragma once

#include "api/http/request_log.h"
#include "base/log.h"
#include "base/result.h"

namespace fathom::cli {

struct LogOptions {
  LogFormat format = LogFormat::kText;
  LogLevel level = LogLevel::kInfo;
  bool requests = true;  // a line for each
  bool prompts = false;  // with its prompt and answer
};

// Whether they fit together; the error names the flag.
Status check_log(const LogOptions& options);

// For this process: format and level of every line, which a thread writes from now on.
void start_log(const LogOptions& options);

api::RequestLogOptions request_log_options(const LogOptions& options);

}  // namespace fathom::cli
