// How loading a model went: its speed and its memory.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace fathom::serving {

struct LoadReport {
  double seconds = 0;
  int threads = 1;
  size_t stored_bytes = 0;  // of the matrices where they come from
  size_t loaded_bytes = 0;  // of all weights in the format they were loaded in
  size_t peak_bytes = 0;    // the most memory the process has held, pages of files included

  double gigabytes_per_second_core() const;
  double peak_share() const;  // of loaded_bytes
  std::string text() const;
  nlohmann::json json() const;
};

// 0 where the system does not tell.
size_t peak_memory();

}  // namespace fathom::serving
