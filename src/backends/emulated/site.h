// Where in its source a word of a kernel stands: what reports name, and what counts are kept by.
#pragma once

#include <cstdint>

namespace fathom::emulated {

struct Site {
  const char* file;
  int32_t line;

  static constexpr Site here(const char* file = __builtin_FILE(), int32_t line = __builtin_LINE()) {
    return {file, line};
  }
  friend bool operator==(const Site& a, const Site& b) {
    return a.line == b.line && a.file == b.file;
  }
  friend bool operator!=(const Site& a, const Site& b) { return !(a == b); }
};

}  // namespace fathom::emulated
