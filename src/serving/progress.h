// A one-line progress bar on stderr, drawn only where someone watches (a terminal).
#pragma once

#include <cstddef>
#include <string>

namespace fathom::serving {

class ProgressBar {
 public:
  ProgressBar(std::string label, bool wanted);
  void update(size_t done_bytes, size_t total_bytes);
  // Clears the line.
  void finish();

 private:
  std::string label_;
  bool draws_;
  int last_percent_ = -1;
};

}  // namespace fathom::serving
