// Secrets that the service manager hands over as files (systemd's LoadCredential=), so that the
// process needs no right to read where they come from.
#pragma once

#include <string>

#include "base/result.h"

namespace fathom::cli {

// The file that `text` names: "credential:NAME" is NAME within $CREDENTIALS_DIRECTORY, all else a
// path as it is. Errors name `flag`.
Result<std::string> credential_file(const char* flag, const std::string& text);

}  // namespace fathom::cli
