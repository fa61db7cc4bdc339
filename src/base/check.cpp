#include "base/check.h"

#include <cstdio>
#include <cstdlib>

#include "base/log.h"

namespace fathom {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  (void)flush_log(std::chrono::seconds(1));
  std::fprintf(stderr, "fathom: bug at %s:%d: expected %s: %s\n", file, line, condition,
               message.c_str());
  std::abort();
}

}  // namespace fathom
