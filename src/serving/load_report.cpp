#include "serving/load_report.h"

#include <fmt/format.h>

#include <fstream>

namespace fathom::serving {

double LoadReport::gigabytes_per_second_core() const {
  return static_cast<double>(stored_bytes) * 1e-9 / seconds / threads;
}

double LoadReport::peak_share() const {
  return static_cast<double>(peak_bytes) / static_cast<double>(loaded_bytes);
}

std::string LoadReport::text() const {
  return fmt::format(
      "loaded {:.2f} GB in {:.2f} s, {:.2f} GB/s a core; memory {:.2f} GB at most, "
      "{:.2f} times the weights",
      static_cast<double>(stored_bytes) * 1e-9, seconds, gigabytes_per_second_core(),
      static_cast<double>(peak_bytes) * 1e-9, peak_share());
}

nlohmann::json LoadReport::json() const {
  return {{"seconds", seconds},
          {"stored_bytes", stored_bytes},
          {"gbps_core", gigabytes_per_second_core()},
          {"loaded_bytes", loaded_bytes},
          {"peak_bytes", peak_bytes}};
}

size_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key; status.ignore(4096, '\n')) {
    size_t kibibytes = 0;
    if (key == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

}  // namespace fathom::serving
