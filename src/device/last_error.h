// For backends: the calling thread's last error, as the contract's last_error() tells it.
#pragma once

#include <string>

#include "device/abi.h"

namespace fathom::device {

// Keeps `message` for last_error() and returns `status`.
fathom_status fail(fathom_status status, std::string message);

// Never NULL; valid until this thread's next failure.
const char* last_error();

}  // namespace fathom::device
