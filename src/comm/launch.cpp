#include "comm/launch.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <optional>

namespace fathom::comm {
namespace {

constexpr int kMaxRanks = 1 << 20;

Result<int> read_number(const Environment& environment, const char* name, int low, int high) {
  const char* text = environment(name);
  if (text == nullptr) {
    return invalid_argument(fmt::format("{}: expected a number, got none", name), name);
  }
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < low || value > high) {
    return invalid_argument(
        fmt::format("{}: expected a number from {} to {}, got \"{}\"", name, low, high, text),
        name);
  }
  return value;
}

struct Launcher {
  const char* present;  // the variable that shows it
  const char* size;
  const char* rank;
  const char* local_size;  // or null, as the next one then
  const char* local_rank;
};

constexpr Launcher kLaunchers[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"PMIX_RANK", "SLURM_STEP_NUM_TASKS", "PMIX_RANK", nullptr, nullptr},
    {"PMI_SIZE", "PMI_SIZE", "PMI_RANK", nullptr, nullptr},
};

}  // namespace

Result<Launch> read_launch(const Environment& environment) {
  for (const Launcher& launcher : kLaunchers) {
    if (environment(launcher.present) == nullptr) continue;
    Launch launch;
    FATHOM_ASSIGN(launch.size, read_number(environment, launcher.size, 1, kMaxRanks));
    FATHOM_ASSIGN(launch.rank, read_number(environment, launcher.rank, 0, launch.size - 1));
    launch.rank_variable = launcher.rank;
    if (launcher.local_size != nullptr && environment(launcher.local_size) != nullptr) {
      FATHOM_ASSIGN(launch.local_size,
                    read_number(environment, launcher.local_size, 1, launch.size));
    }
    if (launch.local_size > 0 && environment(launcher.local_rank) != nullptr) {
      FATHOM_ASSIGN(launch.local_rank,
                    read_number(environment, launcher.local_rank, 0, launch.local_size - 1));
    }
    if (const char* job = environment("PMIX_NAMESPACE")) {
      launch.job = fmt::format("PMIX_NAMESPACE={}", job);
    }
    return launch;
  }
  return Launch{};
}

}  // namespace fathom::comm
