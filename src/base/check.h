// FATHOM_CHECK: states what must hold if our own code is right. It stays on in release builds: a
// wrong answer is worse than a stopped process. Never use it on anything a user, file, peer or
// device controls; those get a Result.
#pragma once

#include <string>

namespace fathom {

// Prints the place, the condition and the message to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);

}  // namespace fathom

#define FATHOM_CHECK(condition, message)                                 \
  do {                                                                   \
    if (!(condition)) [[unlikely]]                                       \
      ::fathom::check_failed(__FILE__, __LINE__, #condition, (message)); \
  } while (false)
