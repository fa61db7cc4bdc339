#include "api/ids.h"

#include <fmt/format.h>

#include <random>

namespace fathom::api {

std::string random_id(std::string_view prefix) {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return fmt::format("{}{:016x}{:08x}", prefix, generator(), static_cast<uint32_t>(generator()));
}

}  // namespace fathom::api
