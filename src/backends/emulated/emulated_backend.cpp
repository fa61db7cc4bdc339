#include "backends/emulated/emulated_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "backends/emulated/chip.h"
#include "backends/emulated/kernel_sets.h"
#include "backends/gpu/host/backend_table.h"
#include "device/last_error.h"

namespace fathom::emulated {
namespace {

constexpr int kMostHostThreads = 64;

std::string variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

Result<uint64_t> number_of(const char* name, const char* otherwise) {
  const std::string text = variable(name, otherwise);
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed == std::errc() && end == text.data() + text.size()) return number;
  return invalid_argument(fmt::format("{}: expected a number, got {}", name, text));
}

Result<ChipOptions> read_options(const fathom_device_options& options) {
  ChipOptions chip;
  const std::string warp = variable("FATHOM_EMULATED_WARP", "32");
  chip.warp = std::atoi(warp.c_str());
  if (kernel_set(chip.warp) == nullptr || std::to_string(chip.warp) != warp) {
    return invalid_argument(fmt::format("FATHOM_EMULATED_WARP: expected {}, got {}", kWarps, warp));
  }
  chip.order_text = variable("FATHOM_EMULATED_ORDER", "rising");
  FATHOM_ASSIGN(chip.order, LaneOrder::parse(chip.order_text));
  FATHOM_ASSIGN(chip.lose_at, number_of("FATHOM_EMULATED_LOSE", "0"));
  FATHOM_ASSIGN(const uint64_t races, number_of("FATHOM_EMULATED_RACES", "1"));
  chip.checks_races = races != 0;
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  chip.threads =
      std::clamp(options.threads > 0 ? options.threads : processors, 1, kMostHostThreads);
  return chip;
}

class EmulatedDriver : public gpu::Driver {
 public:
  const char* name() const override { return "emulated"; }
  const char* version() const override { return "1"; }

  fathom_status count(int32_t& count) override {
    count = 1;
    return FATHOM_OK;
  }

  fathom_status open(const fathom_device_options& options,
                     std::unique_ptr<gpu::Chip>& chip) override {
    if (options.kernels != nullptr && std::strcmp(options.kernels, "gpu") != 0) {
      return device::fail(FATHOM_INVALID, fmt::format("open emulated: expected kernels to be gpu, "
                                                      "got {}",
                                                      options.kernels));
    }
    const auto chip_options = read_options(options);
    if (!chip_options) return device::fail(FATHOM_INVALID, chip_options.error().message);
    chip = std::make_unique<EmulatedChip>(*chip_options);
    return FATHOM_OK;
  }
};

}  // namespace
}  // namespace fathom::emulated

extern "C" const fathom_backend* fathom_emulated_backend_entry(uint32_t host_abi_version) {
  static fathom::emulated::EmulatedDriver driver;
  return fathom::gpu::backend_table(driver, host_abi_version);
}
